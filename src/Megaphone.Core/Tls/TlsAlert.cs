namespace Megaphone.Tls;

/// <summary>The alerts that are sent or told apart here (RFC 8446, section 6; RFC 5246, section 7.2); a peer may send any other byte.</summary>
internal enum TlsAlert : byte
{
    /// <summary>The sender has sent all that it wanted to.</summary>
    CloseNotify = 0,

    /// <summary>A record or a message may not come at this moment, or never; or too many of those that may.</summary>
    UnexpectedMessage = 10,

    /// <summary>A record is not what its sender has sealed.</summary>
    BadRecordMac = 20,

    /// <summary>A record is too long.</summary>
    RecordOverflow = 22,

    /// <summary>A field of a message has a value that it may not have.</summary>
    IllegalParameter = 47,

    /// <summary>A message has a length that it may not have.</summary>
    DecodeError = 50,

    /// <summary>A record of TLS 1.2 has another version.</summary>
    ProtocolVersion = 70,

    /// <summary>It is not the peer's fault.</summary>
    InternalError = 80,

    /// <summary>Only a warning: <see cref="CloseNotify"/> will follow.</summary>
    UserCanceled = 90,

    /// <summary>Only in TLS 1.2, and only a warning: there will be no other handshake.</summary>
    NoRenegotiation = 100,
}
