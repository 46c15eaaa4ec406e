namespace Megaphone.Attacks;

/// <summary>The processes that an attack wants: an ECM with a plain listener and one with TLS, and what its link goes to.</summary>
internal sealed record Scene
{
    /// <summary>Whether the link goes to Debian's ejabberd with the module, rather than to a hub whose backend is <c>echo:</c>.</summary>
    public bool Module { get; init; }

    /// <summary>Whether the server is attacked, hub or ejabberd, rather than the ECM: its memory is watched.</summary>
    public bool AttacksServer { get; init; }

    /// <summary>Framing of the clients; with the module always stanza.</summary>
    public bool Stanzas { get; init; }

    /// <summary>Settings of the ECM more, <c>KEY=VALUE</c>.</summary>
    public string[] Ecm { get; init; } = [];

    /// <summary>Settings of the hub more, <c>KEY=VALUE</c>.</summary>
    public string[] Hub { get; init; } = [];

    /// <summary>Lines more of the listener of the module.</summary>
    public string[] Listener { get; init; } = [];

    /// <summary>What each link must say; null: nothing.</summary>
    public string? Secret { get; init; }

    /// <summary>Whether links to the hub speak TLS.</summary>
    public bool LinkTls { get; init; }

    /// <summary>Descriptors that the ECM may open; null: as many as this process.</summary>
    public int? EcmDescriptors { get; init; }

    /// <summary>Hosts that a third listener of the ECM, with STARTTLS, has a certificate for; null: there is none.</summary>
    public string[]? StartTlsHosts { get; init; }

    /// <summary>ejabberd's log level; null: warnings.</summary>
    public string? EjabberdLogs { get; init; }
}
