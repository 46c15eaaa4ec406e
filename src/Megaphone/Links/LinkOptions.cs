namespace Megaphone.Links;

/// <summary>What both ends of a link have in common.</summary>
internal sealed record LinkOptions
{
    /// <summary>The name said in <c>hello</c> and <c>welcome</c>, for the other side's log. Default: the host's name.</summary>
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>The shared secret of section 6 of the protocol; null: none.</summary>
    public string? Secret { get; init; }

    /// <summary>The longest packet, header included, that is accepted. 32 to 1 GiB, default 1 MiB.</summary>
    public int MaxPacketBytes { get; init; } = 1 << 20;

    /// <summary>
    /// The size of the ring in front of each link's sender thread: a power of two, at least four times
    /// <see cref="MaxPacketBytes"/>. Default 4 MiB. Memory is only taken as far as the ring fills.
    /// </summary>
    public int RingBytes { get; init; } = 4 << 20;

    /// <summary>How often a silent link is asked for a sign of life; dead after three times this. Default 15 s.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(15);
}
