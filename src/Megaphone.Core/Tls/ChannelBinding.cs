using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>
/// What ties a login to the TLS connection that it is made over (RFC 5056), computed by OpenSSL of a session whose handshake is done.
/// </summary>
internal static unsafe class ChannelBinding
{
    private const int ExporterBytes = 32;
    private const int MaxHashBytes = 64;
    private const int MaxFinishedBytes = 64;

    private static ReadOnlySpan<byte> ExporterLabel => "EXPORTER-Channel-Binding"u8;

    /// <summary>
    /// <c>tls-exporter</c> (RFC 9266, section 2). Empty with TLS 1.2 without the extended master secret, for then somebody in the middle can make
    /// two connections whose keys are the same.
    /// </summary>
    public static byte[] Exporter(nint ssl)
    {
        if (OpenSsl.Version(ssl) < OpenSsl.Tls13 && !OpenSsl.HasExtendedMasterSecret(ssl)) return [];
        byte[] binding = new byte[ExporterBytes];
        fixed (byte* into = binding, label = ExporterLabel)
        {
            // The context is empty, which with TLS 1.2 is another than none.
            int result = OpenSsl.ExportKeyingMaterial(ssl, into, ExporterBytes, label, (nuint)ExporterLabel.Length, null, 0, hasContext: 1);
            return result == 1 ? binding : [];
        }
    }

    /// <summary>
    /// <c>tls-server-end-point</c> (RFC 5929, section 4.1): the certificate, hashed with the hash function of its signature, or with SHA-256
    /// where that is MD5 or SHA-1.
    /// </summary>
    public static byte[] ServerEndPoint(nint ssl)
    {
        nint certificate = OpenSsl.Certificate(ssl);
        int hash;
        if (certificate == 0 || OpenSsl.SignatureInfo(certificate, &hash, null, null, null) != 1 || hash == OpenSsl.NoHash) return [];
        if (hash is OpenSsl.Md5 or OpenSsl.Sha1) hash = OpenSsl.Sha256;

        byte* digest = stackalloc byte[MaxHashBytes];
        uint length = 0;
        nint function = OpenSsl.DigestByName(OpenSsl.ShortName(hash));
        if (function == 0 || OpenSsl.CertificateDigest(certificate, function, digest, &length) != 1) return [];
        return new ReadOnlySpan<byte>(digest, (int)length).ToArray();
    }

    /// <summary>
    /// <c>tls-unique</c> (RFC 5929, section 3.1): the first Finished message of the handshake, which is the client's, or ours if a session is
    /// resumed. Empty with TLS 1.3, for which it is not defined.
    /// </summary>
    public static byte[] Unique(nint ssl)
    {
        if (OpenSsl.Version(ssl) >= OpenSsl.Tls13) return [];
        byte* message = stackalloc byte[MaxFinishedBytes];
        nuint length = OpenSsl.SessionReused(ssl) != 0
            ? OpenSsl.Finished(ssl, message, MaxFinishedBytes)
            : OpenSsl.PeerFinished(ssl, message, MaxFinishedBytes);
        return new ReadOnlySpan<byte>(message, (int)length).ToArray();
    }
}
