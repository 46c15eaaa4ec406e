using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>How an ECM speaks TLS with its clients.</summary>
internal sealed record EcmTlsOptions
{
    /// <summary>Certificates and protocol.</summary>
    public required TlsServerOptions Server { get; init; }

    /// <summary>How long a client may take from its connection to the end of the handshake. Default 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Clients that may be on their way to TLS at the same time; more wait in the listeners' backlogs. 1 to 65,536, default 512.
    /// </summary>
    public int MaxHandshakes { get; init; } = 512;
}
