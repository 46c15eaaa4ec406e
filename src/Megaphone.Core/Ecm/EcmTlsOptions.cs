using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>An ECM's TLS settings for its clients.</summary>
internal sealed record EcmTlsOptions
{
    /// <summary>Certificates and protocol.</summary>
    public required TlsServerOptions Server { get; init; }

    /// <summary>The settings where clients speak no TLS, and proxies have to begin with a header.</summary>
    public static EcmTlsOptions None { get; } = new() { Server = new TlsServerOptions { Certificates = [] } };

    /// <summary>The timeout from a client's connection to the end of its handshake. Default 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The most clients that may be before or in their handshake at the same time; more wait in the listeners' backlogs. 1 to 65,536, default 512.
    /// </summary>
    public int MaxHandshakes { get; init; } = 512;

    /// <summary>Whether channel bindings of each client are sent in its PROXY header of version 2. Default false.</summary>
    public bool ChannelBinding { get; init; }
}
