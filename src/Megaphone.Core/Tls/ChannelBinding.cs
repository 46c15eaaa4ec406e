using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>
/// What ties a login to the TLS connection that it is made over (RFC 5056), computed by OpenSSL of a session whose handshake is done.
/// </summary>
internal static unsafe class ChannelBinding
{
    private const int ExporterBytes = 32;
    private const int MaxHashBytes = 64;

    private static ReadOnlySpan<byte> ExporterLabel => "EXPORTER-Channel-Binding"u8;

    /// <summary><c>tls-exporter</c> (RFC 9266, section 2).</summary>
    public static byte[] Exporter(nint ssl)
    {
        byte[] binding = new byte[ExporterBytes];
        fixed (byte* into = binding, label = ExporterLabel)
        {
            // With TLS 1.3 an empty context and none are the same.
            int result = OpenSsl.ExportKeyingMaterial(ssl, into, ExporterBytes, label, (nuint)ExporterLabel.Length, null, 0, 0);
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
}
