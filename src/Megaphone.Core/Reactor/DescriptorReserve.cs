namespace Megaphone.Reactor;

/// <summary>
/// The descriptors that clients do not get, so that they cannot use up what the process needs besides: links that come back, probes of
/// the admin endpoint, certificates that are read again.
/// </summary>
/// <remarks>
/// <para>The kernel gives the lowest number that is free, so a client whose number is too high has come when the others are in use:
/// nothing is counted. What the process opens while clients hold all the low numbers gets the high ones.</para>
/// <para>One for the process, as the limit is. Thread-safe; set before anybody listens.</para>
/// </remarks>
internal static class DescriptorReserve
{
    private static int _size;

    /// <summary>How many there are to be, 0 (the default) or more; where the limit is small there are fewer, see <see cref="Within"/>.</summary>
    public static int Size
    {
        get => Volatile.Read(ref _size);
        set => Volatile.Write(ref _size, value);
    }

    /// <summary>Whether a descriptor that was made for a client is one of them, and must be closed again.</summary>
    public static bool Includes(int descriptor)
    {
        int size = Size;
        if (size == 0) return false;

        // Asked each time, for a tenth of a microsecond: the limit may be changed from outside while the process runs.
        ulong limit = OpenFileLimit.Soft();
        return (ulong)descriptor >= limit - Within(limit, size);
    }

    /// <summary>How many of the descriptors that a process may have are kept back: at most half.</summary>
    public static ulong Within(ulong limit, int size) => Math.Min((ulong)size, limit / 2);
}
