namespace Megaphone.Xmpp;

/// <summary>
/// The stream error with which a client's stream is refused: the conditions of RFC 6120, section 4.9.3, that are used here.
/// </summary>
internal enum StreamCondition : byte
{
    /// <summary><c>bad-format</c> (4.9.3.1): well-formed XML that is not an XMPP stream.</summary>
    BadFormat,

    /// <summary><c>connection-timeout</c> (4.9.3.4): the client has not logged in in time.</summary>
    ConnectionTimeout,

    /// <summary><c>host-unknown</c> (4.9.3.6): the stream is for a host that is not served here.</summary>
    HostUnknown,

    /// <summary><c>not-well-formed</c> (4.9.3.13): not XML.</summary>
    NotWellFormed,

    /// <summary><c>policy-violation</c> (4.9.3.14): more than is allowed, in bytes or in depth.</summary>
    PolicyViolation,

    /// <summary><c>resource-constraint</c> (4.9.3.17): there is no memory for an incomplete piece.</summary>
    ResourceConstraint,

    /// <summary><c>restricted-xml</c> (4.9.3.18): XML that section 11.1 forbids.</summary>
    RestrictedXml,

    /// <summary><c>unsupported-encoding</c> (4.9.3.22): not UTF-8.</summary>
    UnsupportedEncoding,
}
