using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Megaphone.Handover;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>Reads certificate files, and gathers what keeps them from being used: that for clients and that for links, all of it at once.</summary>
/// <param name="now">The time by which certificates must be valid.</param>
internal sealed class CertificateCheck(DateTimeOffset now)
{
    private const string IssuerNext = "put behind each certificate that of its issuer";

    /// <summary>The time by which certificates must be valid.</summary>
    public DateTimeOffset Now => now;

    /// <summary>What is wrong, in the order in which it was found.</summary>
    public List<CertificateProblem> Problems { get; } = [];

    /// <summary>Throws what is wrong, if anything is.</summary>
    /// <exception cref="CertificateException">Something is.</exception>
    public void ThrowIfAny()
    {
        if (Problems.Count > 0) throw new CertificateException(Problems);
    }

    /// <summary>Reads the certificates in a file. The caller disposes of them.</summary>
    /// <returns>None, when something is wrong with the file.</returns>
    public X509Certificate2Collection Read(string file)
    {
        X509Certificate2Collection certificates = [];
        if (PemFile.Obstacle(file) is { } obstacle)
        {
            Problems.Add(obstacle);
            return certificates;
        }

        try
        {
            certificates.ImportFromPemFile(RehearsedFiles.PathOf(file));
            if (certificates.Count == 0) Problems.Add(PemFile.NoCertificate(file));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            Problems.Add(PemFile.Garbled(file, error.Message));
            certificates.Clear();
        }

        return certificates;
    }

    /// <summary>Looks into certificates. What is inside an extension is only read when it is asked for, and may be garbage then.</summary>
    /// <returns>What <paramref name="look"/> returned; the default when something is wrong.</returns>
    public T? Inspect<T>(string file, Func<T> look)
    {
        int before = Problems.Count;
        try
        {
            T seen = look();
            return Problems.Count == before ? seen : default;
        }
        catch (CryptographicException error)
        {
            Problems.Add(PemFile.Garbled(file, error.Message));
            return default;
        }
    }

    /// <summary>Every certificate of a chain must be valid now.</summary>
    /// <returns>Until when all of them are.</returns>
    public DateTimeOffset CheckValidity(string file, X509Certificate2Collection chain)
    {
        foreach (X509Certificate2 certificate in chain)
        {
            if (certificate.NotBefore > now) Problems.Add(CertificateProblem.NotYet(file, certificate.Subject, certificate.NotBefore));
            if (certificate.NotAfter <= now) Problems.Add(CertificateProblem.Expired(file, certificate.Subject, certificate.NotAfter));
        }

        return chain.Min(certificate => certificate.NotAfter);
    }

    /// <summary>What stands behind each certificate must be its issuer's: by its name, and because its key made the signature.</summary>
    public void CheckIssuers(string file, X509Certificate2Collection chain)
    {
        for (int i = 1; i < chain.Count; i++)
        {
            X509Certificate2 certificate = chain[i - 1], issuer = chain[i];
            if (!certificate.IssuerName.RawData.AsSpan().SequenceEqual(issuer.SubjectName.RawData))
            {
                Problems.Add(new(
                    file, $"{certificate.Subject} was issued by {certificate.Issuer}, and behind it comes {issuer.Subject}",
                    IssuerNext));
            }
            else if (!OpenSsl.IsSignedBy(certificate.RawData, issuer.RawData))
            {
                Problems.Add(new(
                    file, $"{certificate.Subject} was signed with another key than that of {issuer.Subject}, which stands behind it",
                    IssuerNext));
            }
        }
    }

    /// <summary>The key must be that of the certificate, and of a kind that OpenSSL knows.</summary>
    /// <returns>False when it is not.</returns>
    public bool CheckKey(string certificate, string key)
    {
        using TlsContext context = NewContext();
        return TryUse(context, certificate, key);
    }

    /// <summary>Gives a context a certificate, those behind it, and its key.</summary>
    /// <returns>False when something is wrong.</returns>
    public bool TryUse(TlsContext context, string certificate, string key)
    {
        if ((PemFile.Obstacle(certificate) ?? PemFile.KeyObstacle(key)) is { } obstacle)
        {
            Problems.Add(obstacle);
            return false;
        }

        OpenSsl.ClearErrors();
        if (OpenSsl.UseCertificateChain(context, RehearsedFiles.PathOf(certificate)) != 1)
        {
            Problems.Add(PemFile.Garbled(certificate, OpenSsl.DescribeError()));
            return false;
        }

        bool isRead = OpenSsl.UsePrivateKey(context, RehearsedFiles.PathOf(key), OpenSsl.FileTypePem) == 1;
        if (isRead && OpenSsl.CheckPrivateKey(context) == 1) return true;
        Problems.Add(OpenSsl.IsKeyOfAnother() ? PemFile.WrongKey(key, certificate) : PemFile.Garbled(key, OpenSsl.DescribeError(), isKey: true));
        return false;
    }

    /// <summary>An empty context.</summary>
    /// <exception cref="CertificateException">OpenSSL gives none.</exception>
    public static TlsContext NewContext()
    {
        TlsContext context = new();
        return context.IsInvalid ? throw new CertificateException(["OpenSSL gives no context"]) : context;
    }
}
