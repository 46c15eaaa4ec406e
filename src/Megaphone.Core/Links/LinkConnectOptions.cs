using Megaphone.Values;

namespace Megaphone.Links;

/// <summary>How an ECM connects its links.</summary>
internal sealed record LinkConnectOptions
{
    /// <summary>
    /// The hubs, or the servers' own link listeners; at least one. A name stands for all of its addresses, and each of those is another
    /// server, unless the <c>welcome</c> says that it is the same.
    /// </summary>
    public required IReadOnlyList<HostPort> To { get; init; }

    /// <summary>Links to hold to each server at the same time; its sessions are spread over them. 1 to 64, default 1.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Whether to send <c>hello</c>; false: only the plain protocol of sections 1 to 3 is used. Default true.</summary>
    public bool Control { get; init; } = true;

    /// <summary>Whether links that are cut are taken up again, with their sessions, if the other end can do that. Default true.</summary>
    public bool Resume { get; init; } = true;

    /// <summary>The TLS settings of links; null: no TLS.</summary>
    public LinkTlsOptions? Tls { get; init; }

    /// <summary>The timeout for connecting, and again for TLS and the answer to <c>hello</c>. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The delay before the first retry; it doubles each time, with jitter. Default 200 ms.</summary>
    public TimeSpan RetryMin { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>The longest delay between two attempts. Default 10 s.</summary>
    public TimeSpan RetryMax { get; init; } = TimeSpan.FromSeconds(10);
}
