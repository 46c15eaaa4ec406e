namespace Megaphone.Tls;

/// <summary>What a record holds (RFC 8446, section 5.1; RFC 5246, section 6.2.1).</summary>
internal enum TlsContentType : byte
{
    /// <summary>Padding, in TLS 1.3; no record has it.</summary>
    Invalid = 0,
    ChangeCipherSpec = 20,
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
}
