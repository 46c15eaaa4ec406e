namespace Megaphone.Bench;

/// <summary>How clients log in (RFC 6120, section 6).</summary>
internal enum LoginMethod
{
    /// <summary>Not at all: after a stream header and the answer to it they are online. For what is no XMPP server, such as <c>echo:</c>.</summary>
    None,

    /// <summary>ANONYMOUS (RFC 4505); the server assigns an address.</summary>
    Anonymous,

    /// <summary>PLAIN, the password itself (RFC 4616).</summary>
    Plain,

    /// <summary>SCRAM-SHA-1, a proof of the password (RFC 5802).</summary>
    ScramSha1,

    /// <summary>SCRAM-SHA-256, a proof of the password (RFC 7677).</summary>
    ScramSha256,
}
