namespace Megaphone.Tls;

/// <summary>What is spoken within TLS: the one protocol that a client may name (ALPN, RFC 7301).</summary>
internal enum TlsProtocol
{
    /// <summary><c>xmpp-client</c> (XEP-0368).</summary>
    Xmpp,

    /// <summary><c>http/1.1</c>.</summary>
    Http,
}
