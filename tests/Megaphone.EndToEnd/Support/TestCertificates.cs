using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Megaphone.EndToEnd.Support;

/// <summary>A test's own authority, and the certificates that it issues, as PEM files in a folder that is deleted with it.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-tls-").FullName;
    private readonly ECDsa _authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509SubjectKeyIdentifierExtension _authorityIdentifier;
    private readonly X509Certificate2 _authority;

    public TestCertificates()
    {
        // RFC 5280, section 4.2.1, wants both key identifiers, and so does Python from 3.13 on.
        _authorityIdentifier = new X509SubjectKeyIdentifierExtension(new PublicKey(_authorityKey), critical: false);
        CertificateRequest request = new("CN=Authority of a test", _authorityKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(_authorityIdentifier);
        _authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-10), DateTimeOffset.UtcNow.AddDays(1000));
        AuthorityFile = Path.Combine(_folder, "authority.pem");
        File.WriteAllText(AuthorityFile, _authority.ExportCertificatePem());
    }

    /// <summary>The authority's certificate.</summary>
    public string AuthorityFile { get; }

    /// <summary>Where a certificate and its key are.</summary>
    public (string Certificate, string Key) Files(string file) =>
        (Path.Combine(_folder, file + ".pem"), Path.Combine(_folder, file + ".key"));

    /// <summary>A file with both, as HAProxy wants it.</summary>
    public string Bundle(string file)
    {
        (string certificate, string key) = Files(file);
        string both = Path.Combine(_folder, file + ".both");
        File.WriteAllText(both, $"{File.ReadAllText(certificate)}\n{File.ReadAllText(key)}");
        return both;
    }

    /// <summary>Issues a certificate and writes it with its chain, and its key.</summary>
    /// <param name="file">The name of the files; an earlier certificate is replaced.</param>
    /// <param name="names">The hosts that it covers.</param>
    /// <param name="rsa">Whether its key is RSA rather than ECDSA.</param>
    /// <param name="days">For how many days it is valid; less than 0: it expired so long ago.</param>
    /// <param name="behind">The file of the certificate that follows it; null: the authority's.</param>
    /// <returns>Its serial number, by which tests tell one from the other.</returns>
    public string Issue(string file, string[] names, bool rsa = false, double days = 90, string? behind = null)
    {
        using ECDsa ecKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using RSA rsaKey = RSA.Create(2048);
        CertificateRequest request = rsa
            ? new CertificateRequest("CN=" + file, rsaKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest("CN=" + file, ecKey, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder alternatives = new();
        foreach (string name in names) alternatives.AddDnsName(name);
        if (names.Length > 0) request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(_authorityIdentifier));
        byte[] serial = RandomNumberGenerator.GetBytes(8);
        serial[0] = (byte)(serial[0] & 0x7f | 0x40);
        using X509Certificate2 certificate = request.Create(
            _authority.SubjectName, X509SignatureGenerator.CreateForECDsa(_authorityKey),
            DateTimeOffset.UtcNow.AddDays(-9), DateTimeOffset.UtcNow.AddDays(days), serial);
        (string pem, string key) = Files(file);
        File.WriteAllText(key, rsa ? rsaKey.ExportPkcs8PrivateKeyPem() : ecKey.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(pem, certificate.ExportCertificatePem() + "\n" + File.ReadAllText(behind ?? AuthorityFile));
        return Convert.ToHexString(serial);
    }

    /// <summary>The settings with which an ECM uses these certificates, in this order.</summary>
    public string[] Settings(params string[] files) =>
    [
        .. files.SelectMany((file, i) => new[]
        {
            $"Ecm:Tls:Certificates:{i}:Certificate={Files(file).Certificate}", $"Ecm:Tls:Certificates:{i}:Key={Files(file).Key}",
        }),
    ];

    /// <inheritdoc/>
    public void Dispose()
    {
        _authority.Dispose();
        _authorityKey.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
