namespace Megaphone.Tls;

/// <summary>What a handshake agreed on.</summary>
/// <param name="Version">As OpenSSL writes it: <c>TLSv1.3</c>.</param>
/// <param name="Cipher">As OpenSSL writes it: <c>TLS_AES_256_GCM_SHA384</c>.</param>
/// <param name="ServerName">The name that the client asked for (SNI); null when it named none.</param>
/// <param name="Protocol">The protocol agreed on (ALPN); null without.</param>
/// <param name="Resumed">Whether it went on with an earlier session.</param>
internal sealed record TlsFacts(string Version, string Cipher, string? ServerName, string? Protocol, bool Resumed)
{
    /// <summary>
    /// The channel binding <c>tls-exporter</c> (RFC 9266), 32 bytes; empty: not asked for, or TLS 1.2 without the extended master secret.
    /// </summary>
    public byte[] Exporter { get; init; } = [];

    /// <summary>
    /// The channel binding <c>tls-server-end-point</c> (RFC 5929, section 4): the hash of the certificate that the client was shown; empty: not
    /// asked for, or the certificate's signature has no hash of its own, as with Ed25519.
    /// </summary>
    public byte[] ServerEndPoint { get; init; } = [];

    /// <summary>The channel binding <c>tls-unique</c> (RFC 5929, section 3), 12 bytes; empty: not asked for, or not TLS 1.2.</summary>
    public byte[] Unique { get; init; } = [];

    /// <summary>The same without channel bindings.</summary>
    public TlsFacts WithoutBindings => this with { Exporter = [], ServerEndPoint = [], Unique = [] };
}
