namespace Megaphone.Tls;

/// <summary>Who opens and seals the records of clients when their handshake, which is OpenSSL's, is done.</summary>
internal enum RecordLayer
{
    /// <summary>Megaphone, in a few hundred bytes for each client.</summary>
    Own,

    /// <summary>OpenSSL, in 14 KB. For one release, for those who do not trust ours yet.</summary>
    OpenSsl,
}
