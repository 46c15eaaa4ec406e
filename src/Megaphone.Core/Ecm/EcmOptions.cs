using Megaphone.Links;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>The ECM role's settings, checked.</summary>
internal sealed record EcmOptions
{
    /// <summary>The addresses on which clients are accepted; at least one.</summary>
    public required IReadOnlyList<ClientListenerOptions> Clients { get; init; }

    /// <summary>The listeners that a reload has closed, and whose clients may still be there: equal ones once.</summary>
    public IReadOnlyList<FormerListener> FormerListeners { get; init; } = [];

    /// <summary>The longest piece of a client's stream, by <see cref="EcmClient.Listener"/>.</summary>
    public int[] GetMaxStanzaBytes() =>
        [.. Clients.Select(listener => listener.MaxStanzaBytes), .. FormerListeners.Select(listener => listener.MaxStanzaBytes)];

    /// <summary>The settings for the web, by <see cref="EcmClient.Listener"/>; null for a listener that is not for it.</summary>
    public WebOptions?[] GetWeb() => [.. Clients.Select(listener => listener.Web), .. FormerListeners.Select(listener => listener.Web)];

    /// <summary>Whether clients may come from proxies to a listener, by <see cref="EcmClient.Listener"/>.</summary>
    public bool HasProxies(int listener) => listener < Clients.Count && Clients[listener].HasProxies;

    /// <summary>How links are connected.</summary>
    public required LinkConnectOptions Connect { get; init; }

    /// <summary>The settings that both ends of a link have.</summary>
    public required LinkOptions Link { get; init; }

    /// <summary>Whether sessions begin with a PROXY header. Default none.</summary>
    public ProxyMode Proxy { get; init; }

    /// <summary>The TLS settings for clients; null when no listener uses TLS.</summary>
    public EcmTlsOptions? Tls { get; init; }

    /// <summary>Clients held at the same time; more are refused. 1 to 16,000,000, default 1,000,000.</summary>
    public int MaxClients { get; init; } = 1_000_000;

    /// <summary>Reactor threads. 1 to 64; default one for every two cores: links' receivers, which send, need the others.</summary>
    public int Reactors { get; init; } = Math.Clamp(Environment.ProcessorCount / 2, 1, 64);

    /// <summary>The kernel's accept queue for each listener. Default 4096; somaxconn is the ceiling.</summary>
    public int Backlog { get; init; } = 4096;

    /// <summary>How long a client that has ended one direction may keep the other. Default 30 s.</summary>
    public TimeSpan HalfOpenTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Clients disconnected per second after their link was lost. Default 5,000.</summary>
    public int CloseRate { get; init; } = 5_000;

    /// <summary>The time in which a drain ends the clients, evenly. Default 60 s.</summary>
    public TimeSpan DrainOver { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Where clients go when this ECM drains, HOST or HOST:PORT; null: they look for themselves. With stanza framing only.</summary>
    public string? SeeOtherHost { get; init; }

    /// <summary>Where WebSocket clients go then, a URI; null: they look for themselves.</summary>
    public string? SeeOtherUri { get; init; }

    /// <summary>What an address may have.</summary>
    public LimitOptions Limits { get; init; } = new();

    /// <summary>At which pace clients log in. Used with stanza framing only.</summary>
    public LoginOptions Logins { get; init; } = new();

    /// <summary>The bounds of what is buffered for slow clients.</summary>
    public BufferOptions Buffers { get; init; } = new();

    /// <summary>
    /// The bound of the memory for incomplete stanzas of all clients together; a client that would exceed it
    /// is refused. Used with stanza framing only. Default 256 MiB.
    /// </summary>
    public long IncompleteBytes { get; init; } = 256L << 20;

    /// <summary>How vanished clients are detected.</summary>
    public TcpLivenessOptions Liveness { get; init; } = new();
}
