namespace Megaphone.Tls;

/// <summary>How a connection's records are protected: the AEAD algorithms of all cipher suites that are allowed, in both versions of TLS.</summary>
/// <remarks>One byte, as it stands in <see cref="TlsConnectionState"/>. 0 is none, so that zeroed memory is no state.</remarks>
internal enum AeadAlgorithm : byte
{
    /// <summary>AES-128-GCM (RFC 5116, section 5.1; in TLS 1.2: RFC 5288). The key schedule's hash is SHA-256.</summary>
    Aes128Gcm = 1,

    /// <summary>AES-256-GCM (RFC 5116, section 5.2; in TLS 1.2: RFC 5288). The key schedule's hash is SHA-384.</summary>
    Aes256Gcm,

    /// <summary>ChaCha20-Poly1305 (RFC 8439; in TLS 1.2: RFC 7905). The key schedule's hash is SHA-256.</summary>
    ChaCha20Poly1305,
}
