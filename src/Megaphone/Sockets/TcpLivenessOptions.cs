namespace Megaphone.Sockets;

/// <summary>How the kernel finds out that a peer has vanished, at no cost to us while it is there.</summary>
internal sealed record TcpLivenessOptions
{
    /// <summary>Silence before the first probe (TCP_KEEPIDLE); whole seconds. Default 5 minutes.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Time between probes (TCP_KEEPINTVL); whole seconds. Default 30 s.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Unanswered probes after which the peer is gone (TCP_KEEPCNT). Default 4.</summary>
    /// <remarks>Counts only while <see cref="UserTimeout"/> is zero: Linux lets that decide otherwise.</remarks>
    public int Probes { get; init; } = 4;

    /// <summary>
    /// How long sent data, and probes, may stay unanswered, or a peer with data waiting may take none of it (TCP_USER_TIMEOUT, RFC 5482); zero: as the kernel does without
    /// it. Default 1 minute.
    /// </summary>
    public TimeSpan UserTimeout { get; init; } = TimeSpan.FromMinutes(1);
}
