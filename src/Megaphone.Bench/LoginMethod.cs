namespace Megaphone.Bench;

/// <summary>How played clients log in (RFC 6120, section 6).</summary>
internal enum LoginMethod
{
    /// <summary>Not at all: a stream header, and the answer to it. For what is no XMPP server, such as <c>echo:</c>.</summary>
    None,

    /// <summary>As anybody (RFC 4505); the server gives an address.</summary>
    Anonymous,

    /// <summary>With the password itself (RFC 4616).</summary>
    Plain,

    /// <summary>With a proof of the password (RFC 5802).</summary>
    ScramSha1,

    /// <summary>With a proof of the password (RFC 7677).</summary>
    ScramSha256,
}
