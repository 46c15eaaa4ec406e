namespace Megaphone.Tls;

/// <summary>What a handshake agreed on.</summary>
/// <param name="Version">As OpenSSL writes it: <c>TLSv1.3</c>.</param>
/// <param name="Cipher">As OpenSSL writes it: <c>TLS_AES_256_GCM_SHA384</c>.</param>
/// <param name="ServerName">The name that the client asked for (SNI); null when it named none.</param>
/// <param name="Protocol">The protocol agreed on (ALPN); null without.</param>
/// <param name="Resumed">Whether it went on with an earlier session.</param>
internal sealed record TlsFacts(string Version, string Cipher, string? ServerName, string? Protocol, bool Resumed);
