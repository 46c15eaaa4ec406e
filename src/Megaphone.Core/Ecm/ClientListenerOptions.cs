using System.Net;

namespace Megaphone.Ecm;

/// <summary>One address on which an ECM accepts clients.</summary>
internal sealed record ClientListenerOptions
{
    /// <summary>The address and port, port 0 for any; or the path of a Unix socket.</summary>
    public required EndPoint Listen { get; init; }

    /// <summary>The mode of a Unix socket's file: who may write to it may connect. Default 0660.</summary>
    public UnixFileMode SocketMode { get; init; } =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    /// <summary>Whether, and how, its clients use TLS. Default none.</summary>
    public ClientTls Tls { get; init; }

    /// <summary>What its clients speak. Default bytes of whatever kind.</summary>
    public ClientFraming Framing { get; init; }

    /// <summary>The settings of a listener for the web; null for any other.</summary>
    public WebOptions? Web { get; init; }

    /// <summary>Who begins with a PROXY header, and is the client that this names. Default: nobody.</summary>
    public IReadOnlyList<IPNetwork> ProxyFrom { get; init; } = [];

    /// <summary>Whether those who connect to a Unix socket do.</summary>
    public bool ProxyFromUnix { get; init; }

    /// <summary>Whether anybody does.</summary>
    public bool HasProxies => ProxyFromUnix || ProxyFrom.Count > 0;

    /// <summary>The longest piece of a client's stream, in bytes; used where the clients speak XMPP. Default 256 KiB.</summary>
    public int MaxStanzaBytes { get; init; } = 256 << 10;
}
