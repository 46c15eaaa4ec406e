namespace Megaphone.Reactor;

/// <summary>
/// The descriptors that clients do not get, so that they cannot use up what the process needs besides: links that come back, probes of
/// the admin endpoint, certificates that are read again.
/// </summary>
/// <remarks>
/// <para>The kernel gives the lowest number that is free, so a client gets a high number only when all lower ones are in use: nothing is
/// counted. What the process opens while clients hold all the low numbers gets the high ones.</para>
/// <para>One for the process, as the limit is. Thread-safe; set before anybody listens.</para>
/// </remarks>
internal static class DescriptorReserve
{
    private static int _size;

    /// <summary>How many are to be kept back, 0 (the default) or more; with a small limit there are fewer, see <see cref="Within"/>.</summary>
    public static int Size
    {
        get => Volatile.Read(ref _size);
        set => Volatile.Write(ref _size, value);
    }

    /// <summary>Whether a descriptor that was opened for a client belongs to the reserve, and must be closed again.</summary>
    public static bool Includes(int descriptor)
    {
        int size = Size;
        if (size == 0) return false;

        // Read each time, which takes a tenth of a microsecond: the limit may be changed from outside while the process runs.
        ulong limit = OpenFileLimit.Soft();
        return (ulong)descriptor >= limit - Within(limit, size);
    }

    /// <summary>How many of the descriptors that a process may have are kept back: at most half.</summary>
    public static ulong Within(ulong limit, int size) => Math.Min((ulong)size, limit / 2);
}
