using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Megaphone.Tests.Links;

/// <summary>A test's own authority, and the certificates that it issues, as PEM files in a folder that is deleted with it.</summary>
internal sealed class TestAuthority : IDisposable
{
    public const string ServerUse = "1.3.6.1.5.5.7.3.1";
    public const string ClientUse = "1.3.6.1.5.5.7.3.2";

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-links-").FullName;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;

    public TestAuthority(string name = "Authority of a test")
    {
        CertificateRequest request = new($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        _certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-10), DateTimeOffset.UtcNow.AddDays(1000));
        File = Path.Combine(_folder, "authority.pem");
        System.IO.File.WriteAllText(File, _certificate.ExportCertificatePem());
    }

    /// <summary>The authority's certificate.</summary>
    public string File { get; }

    /// <summary>Issues a certificate, and writes it and its key; an earlier one with the same file name is replaced.</summary>
    /// <param name="file">The name of the files and of the certificate's subject.</param>
    /// <param name="name">The host that it covers, by name or address; null: none.</param>
    /// <param name="days">For how many days it is valid; less than 0: it expired so long ago.</param>
    /// <param name="use">Its one extended key usage; null: none.</param>
    public (string Certificate, string Key) Issue(string file, string? name = null, double days = 90, string? use = null)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=" + file, key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder alternatives = new();
        if (IPAddress.TryParse(name, out IPAddress? address)) alternatives.AddIpAddress(address);
        else if (name is not null) alternatives.AddDnsName(name);
        if (name is not null) request.CertificateExtensions.Add(alternatives.Build());
        if (use is not null) request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(use)], false));
        return Sign(file, request, key, days);
    }

    /// <summary>Issues a certificate with one unreadable extension.</summary>
    public (string Certificate, string Key) IssueBroken(string file, string extension)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=" + file, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509Extension(extension, [0x30, 0x10, 0x82], critical: false));
        return Sign(file, request, key, days: 90);
    }

    public void Dispose()
    {
        _certificate.Dispose();
        _key.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private (string Certificate, string Key) Sign(string file, CertificateRequest request, ECDsa key, double days)
    {
        byte[] serial = RandomNumberGenerator.GetBytes(8);
        serial[0] = (byte)(serial[0] & 0x7f | 0x40);
        using X509Certificate2 certificate = request.Create(
            _certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(_key),
            DateTimeOffset.UtcNow.AddDays(-9), DateTimeOffset.UtcNow.AddDays(days), serial);
        (string Certificate, string Key) files = (Path.Combine(_folder, file + ".pem"), Path.Combine(_folder, file + ".key"));
        System.IO.File.WriteAllText(files.Certificate, certificate.ExportCertificatePem());
        System.IO.File.WriteAllText(files.Key, key.ExportPkcs8PrivateKeyPem());
        return files;
    }
}
