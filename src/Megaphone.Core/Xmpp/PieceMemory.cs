using System.Runtime.InteropServices;

namespace Megaphone.Xmpp;

/// <summary>The bounded memory for the incomplete pieces of all clients. Thread-safe.</summary>
/// <param name="limit">The most bytes in use at the same time.</param>
internal sealed unsafe class PieceMemory(long limit)
{
    private long _inUse;

    /// <summary>Bytes in use now.</summary>
    public long InUse => Volatile.Read(ref _inUse);

    /// <summary>Enlarges or shortens a buffer, keeping its content. The caller owns the new one; the old one is freed.</summary>
    /// <param name="buffer">A buffer from this memory, or null; unchanged on failure.</param>
    /// <param name="from">Its size in bytes.</param>
    /// <param name="to">The new size in bytes.</param>
    /// <returns>False when the bound is reached, or the machine has no memory; true whenever a buffer is shortened.</returns>
    public bool TryResize(ref byte* buffer, int from, int to)
    {
        // Above the bound, where another thread may be for a moment, a shorter buffer is welcome all the more.
        if (Interlocked.Add(ref _inUse, to - from) <= limit || to < from)
        {
            try
            {
                buffer = (byte*)NativeMemory.Realloc(buffer, (nuint)to);
                return true;
            }
            catch (OutOfMemoryException)
            {
                // As at the bound: only this client is refused.
            }
        }

        Interlocked.Add(ref _inUse, from - to);
        return false;
    }

    /// <summary>Frees a buffer.</summary>
    /// <param name="buffer">A buffer from this memory; null afterwards.</param>
    /// <param name="size">Its size in bytes.</param>
    public void Free(ref byte* buffer, int size)
    {
        NativeMemory.Free(buffer);
        buffer = null;
        Interlocked.Add(ref _inUse, -size);
    }
}
