using System.Runtime.InteropServices;

namespace Megaphone.Xmpp;

/// <summary>The memory in which incomplete pieces wait, all clients' together, and its bound. Thread-safe.</summary>
/// <param name="limit">Bytes that may be taken at the same time.</param>
internal sealed unsafe class PieceMemory(long limit)
{
    private long _taken;

    /// <summary>Bytes that are taken now.</summary>
    public long Taken => Volatile.Read(ref _taken);

    /// <summary>Makes a buffer larger, keeping what is in it. The caller owns the new one, and the old one is gone.</summary>
    /// <param name="buffer">From here, or null; unchanged if it fails.</param>
    /// <param name="from">Its size in bytes.</param>
    /// <param name="to">The size wanted.</param>
    /// <returns>False when the bound, or the machine, does not allow it.</returns>
    public bool TryResize(ref byte* buffer, int from, int to)
    {
        if (Interlocked.Add(ref _taken, to - from) <= limit)
        {
            try
            {
                buffer = (byte*)NativeMemory.Realloc(buffer, (nuint)to);
                return true;
            }
            catch (OutOfMemoryException)
            {
                // As with the bound: this one client pays for it.
            }
        }

        Interlocked.Add(ref _taken, from - to);
        return false;
    }

    /// <summary>Frees a buffer.</summary>
    /// <param name="buffer">From here; null afterwards.</param>
    /// <param name="size">Its size in bytes.</param>
    public void Free(ref byte* buffer, int size)
    {
        NativeMemory.Free(buffer);
        buffer = null;
        Interlocked.Add(ref _taken, -size);
    }
}
