namespace Megaphone.Attacks;

/// <summary>The processes that an attack needs: an ECM with a plain listener and one with TLS, and what its link goes to.</summary>
/// <remarks>Framing is stanza, but for <see cref="Server.Echo"/>, where it is bytes.</remarks>
internal sealed record Scene
{
    /// <summary>What the link goes to.</summary>
    public Server Server { get; init; }

    /// <summary>Whether the same attack can be played against other servers for clients, too: see <see cref="Front"/>.</summary>
    public bool HasPeers { get; init; }

    /// <summary>Whether the server, hub or ejabberd, is attacked rather than the ECM: the memory of the attacked one is sampled.</summary>
    public bool AttacksServer { get; init; }

    /// <summary>More settings of the ECM, <c>KEY=VALUE</c>.</summary>
    public string[] Ecm { get; init; } = [];

    /// <summary>More settings of the hub, <c>KEY=VALUE</c>.</summary>
    public string[] Hub { get; init; } = [];

    /// <summary>More lines of the module's listener.</summary>
    public string[] Listener { get; init; } = [];

    /// <summary>The secret of links; null: none.</summary>
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
