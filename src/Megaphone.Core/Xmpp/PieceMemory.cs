using System.Runtime.InteropServices;

namespace Megaphone.Xmpp;

/// <summary>The bounded memory for the incomplete pieces of all clients. Thread-safe.</summary>
/// <remarks>
/// Who needs little finds room when others have taken all that they may: strangers, clients who have not logged in, get none when half of it is in
/// use, or an eighth more for as little as a login takes, and nobody gets any for a long piece when only the reserve is left. So strangers never take
/// what others need, and those with long pieces never what short ones do.
/// </remarks>
/// <param name="limit">The most bytes in use at the same time.</param>
/// <param name="reserve">How many of these are kept for short pieces.</param>
internal sealed unsafe class PieceMemory(long limit, long reserve = 0)
{
    /// <summary>A buffer up to this is that of a short piece.</summary>
    private const int ShortBytes = 16 << 10;

    /// <summary>A buffer up to this is that of what clients say who log in.</summary>
    private const int TinyBytes = 1 << 10;

    private long _inUse;

    /// <summary>Whether strangers may find no room for a short piece.</summary>
    public bool IsScarce => InUse + ShortBytes > limit / 2;

    /// <summary>Bytes in use now.</summary>
    public long InUse => Volatile.Read(ref _inUse);

    /// <summary>Enlarges or shortens a buffer, keeping its content. The caller owns the new one; the old one is freed.</summary>
    /// <param name="buffer">A buffer from this memory, or null; unchanged on failure.</param>
    /// <param name="from">Its size in bytes.</param>
    /// <param name="to">The new size in bytes.</param>
    /// <param name="isStranger">Whether it is for a client who has not logged in.</param>
    /// <returns>False when the bound is reached, or the machine has no memory; true whenever a buffer is shortened.</returns>
    public bool TryResize(ref byte* buffer, int from, int to, bool isStranger = false)
    {
        long bound = isStranger ? limit / 2 + (to <= TinyBytes ? limit / 8 : 0) : to <= ShortBytes ? limit : limit - reserve;

        // Above the bound, where another thread may be for a moment, a shorter buffer is welcome all the more.
        if (Interlocked.Add(ref _inUse, to - from) <= bound || to < from)
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

    /// <summary>Makes a buffer for what was there before a reload. The bound may be lower now, which only those who come notice.</summary>
    /// <param name="size">Its size in bytes.</param>
    public byte* Keep(int size)
    {
        byte* buffer = (byte*)NativeMemory.Alloc((nuint)size);
        Interlocked.Add(ref _inUse, size);
        return buffer;
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
