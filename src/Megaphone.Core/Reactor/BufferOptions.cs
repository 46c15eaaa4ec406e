namespace Megaphone.Reactor;

/// <summary>How much may wait for slow sockets (section 5 of the link protocol).</summary>
internal sealed record BufferOptions
{
    /// <summary>A paused session is resumed when its buffer falls to this. Default 16 KiB.</summary>
    public int LowBytes { get; init; } = 16 << 10;

    /// <summary>A session is paused when its buffer reaches this. Default 64 KiB.</summary>
    public int HighBytes { get; init; } = 64 << 10;

    /// <summary>A session whose buffer would grow above this is reset. Default 16 MiB.</summary>
    /// <remarks>
    /// Should be more than one link can hold in both directions, rings and socket buffers, which is what may still arrive
    /// after <c>pause</c>: then only a side that cannot or will not pause gets here.
    /// </remarks>
    public int LimitBytes { get; init; } = 16 << 20;

    /// <summary>A connection that has not been admitted is reset when more would wait for it. Default: as for all others.</summary>
    public int UnadmittedBytes { get; init; } = int.MaxValue;

    /// <summary>
    /// The bound for the memory of all buffers together; a session that would exceed it is reset. Default 256 MiB.
    /// </summary>
    /// <remarks>
    /// What is left for connections that are not admitted is half of it, and the last quarter is for short buffers, as far as one of
    /// <see cref="LimitBytes"/> fits before that: so the slowest do not take what others need.
    /// </remarks>
    public long TotalBytes { get; init; } = 256L << 20;

    /// <summary>A buffer up to this is a short one.</summary>
    public const int ShortBytes = 16 << 10;

    /// <summary>The memory of all buffers up to which a buffer may become so long.</summary>
    public long TotalFor(int capacity, bool isAdmitted) =>
        !isAdmitted && UnadmittedBytes < LimitBytes ? TotalBytes / 2
        : capacity <= ShortBytes ? TotalBytes
        : Math.Max(TotalBytes - (TotalBytes / 4), Math.Min(TotalBytes, 2L * LimitBytes));
}
