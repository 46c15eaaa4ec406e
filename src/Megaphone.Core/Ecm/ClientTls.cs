namespace Megaphone.Ecm;

/// <summary>Whether, and how, the clients of a listener use TLS.</summary>
internal enum ClientTls
{
    /// <summary>The ECM does no TLS; their bytes pass unchanged.</summary>
    None,

    /// <summary>They must request it with STARTTLS (RFC 6120, section 5).</summary>
    StartTls,

    /// <summary>From the first byte on (XEP-0368).</summary>
    Direct,
}
