namespace Megaphone.Ecm;

/// <summary>Whether, and how, the clients of a listener speak TLS.</summary>
internal enum ClientTls
{
    /// <summary>They do not, as far as the ECM is concerned.</summary>
    None,

    /// <summary>They must ask for it with STARTTLS (RFC 6120, section 5).</summary>
    StartTls,

    /// <summary>From the first byte on (XEP-0368).</summary>
    Direct,
}
