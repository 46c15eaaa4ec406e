namespace Megaphone.Operator;

/// <summary>How one role is. What it does not have is null, or empty.</summary>
internal sealed record RoleStatus
{
    /// <summary><c>ecm</c> or <c>hub</c>.</summary>
    public required string Role { get; init; }

    /// <summary>Clients (ECM) or sessions (hub) now.</summary>
    public required long Connected { get; init; }

    /// <summary>Clients who are logged in (ECM).</summary>
    public long? LoggedIn { get; init; }

    /// <summary>Clients before or in their TLS handshake (ECM).</summary>
    public long? Handshaking { get; init; }

    /// <summary>Clients with a WebSocket (ECM with a listener for the web).</summary>
    public long? WebSockets { get; init; }

    /// <summary>Clients who are relayed to a server for HTTP (ECM with a listener for the web).</summary>
    public long? Relayed { get; init; }

    /// <summary>Sessions that were opened.</summary>
    public required long Opened { get; init; }

    /// <summary>Packets that links have brought.</summary>
    public required long PacketsIn { get; init; }

    /// <summary>Packets that links have taken.</summary>
    public required long PacketsOut { get; init; }

    /// <summary>Bytes that links have brought.</summary>
    public required long BytesIn { get; init; }

    /// <summary>Bytes that links have taken.</summary>
    public required long BytesOut { get; init; }

    /// <summary>Bytes that wait for slow sockets.</summary>
    public required long Buffered { get; init; }

    /// <summary>The listeners for clients (ECM).</summary>
    public required IReadOnlyList<ListenerReport> Listeners { get; init; }

    /// <summary>The configured servers (ECM) or backends (hub).</summary>
    public required IReadOnlyList<ServerReport> Servers { get; init; }

    /// <summary>The links.</summary>
    public required IReadOnlyList<LinkReport> Links { get; init; }

    /// <summary>Limits that kept clients out, or ended them, and how many.</summary>
    public required IReadOnlyList<CountReport> Limited { get; init; }

    /// <summary>Why clients or links were refused, and how many.</summary>
    public required IReadOnlyList<CountReport> Refused { get; init; }

    /// <summary>Why sessions ended, and how many.</summary>
    public required IReadOnlyList<CountReport> Closed { get; init; }

    /// <summary>The certificates for clients and for links.</summary>
    public required IReadOnlyList<CertificateReport> Certificates { get; init; }
}
