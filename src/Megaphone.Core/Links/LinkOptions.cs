using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>The settings of a link that both ends have.</summary>
internal sealed record LinkOptions
{
    /// <summary>The name sent in <c>hello</c> and <c>welcome</c>, for the other side's log. Default: the host's name.</summary>
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>What the packets made here carry: sent in <c>hello</c>. Default bytes.</summary>
    public LinkFraming Framing { get; init; } = LinkFraming.Bytes;

    /// <summary>The shared secret of section 6 of the protocol; null: none.</summary>
    public string? Secret { get; init; }

    /// <summary>The longest packet, header included, that is accepted. 32 to 1 GiB, default 1 MiB.</summary>
    public int MaxPacketBytes { get; init; } = 1 << 20;

    /// <summary>
    /// The size of the ring in front of each link's sender thread: a power of two, at least twice
    /// <see cref="MaxPacketBytes"/>. Default 2 MiB. Memory is used only as far as the ring fills.
    /// </summary>
    public int RingBytes { get; init; } = 2 << 20;

    /// <summary>
    /// What the kernel may buffer for a link in each direction (SO_SNDBUF, SO_RCVBUF); 0: its own choice. Default 512 KiB.
    /// </summary>
    /// <remarks>
    /// Whatever a link buffers when <c>pause</c> is sent still arrives. By its own choice a kernel buffers tens of megabytes for a
    /// reader that is behind, all of which would have to be buffered again for one slow client. Raise it for links with a
    /// large product of bandwidth and delay.
    /// </remarks>
    public int SocketBufferBytes { get; init; } = 512 << 10;

    /// <summary>The keep-alive interval: a silent link is pinged, and considered dead after three intervals. Default 15 s.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>The clock of the timeouts. No setting: tests advance their own.</summary>
    internal TimeProvider Time { get; init; } = TimeProvider.System;
}
