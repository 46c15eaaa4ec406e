namespace Megaphone.Reactor;

/// <summary>How the kernel finds out that a peer has vanished, at no cost to us while it is there.</summary>
internal sealed record TcpLivenessOptions
{
    /// <summary>Silence before the first probe (TCP_KEEPIDLE), at most; three quarters at least. Whole seconds. Default 5 minutes.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Time between probes (TCP_KEEPINTVL), at most; three quarters at least. Whole seconds. Default 30 s.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Unanswered probes after which the peer is gone (TCP_KEEPCNT). Default 4.</summary>
    /// <remarks>Counts only while <see cref="UserTimeout"/> is zero: Linux lets that decide otherwise.</remarks>
    public int Probes { get; init; } = 4;

    /// <summary>
    /// How long sent data may stay unanswered, or a peer with data waiting may take none of it (TCP_USER_TIMEOUT, RFC 5482); zero: as
    /// the kernel does without it. Default 7 minutes.
    /// </summary>
    /// <remarks>
    /// Linux counts it from when the peer was last heard, for probes as well: with less than <see cref="UntilGone()"/> a single lost probe
    /// would disconnect a peer that is still there.
    /// </remarks>
    public TimeSpan UserTimeout { get; init; } = TimeSpan.FromMinutes(7);

    /// <summary>Silence after which the last probe has gone unanswered.</summary>
    public TimeSpan UntilGone() => Idle + (Interval * Probes);
}
