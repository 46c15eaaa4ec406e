using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>What a certificate file says, checked: whom it is for, until when, and with which kind of key.</summary>
/// <param name="Files">Where it is.</param>
/// <param name="Names">The hosts that it covers, normalized; some with a wildcard. At least one.</param>
/// <param name="KeyKind">The kind of its key, as an object identifier.</param>
/// <param name="NotAfter">Until when it, and all that stand behind it in the file, are valid.</param>
internal sealed record CertificateChain(CertificateFiles Files, IReadOnlyList<string> Names, string KeyKind, DateTimeOffset NotAfter)
{
    private const string IssuerNext = "put behind each certificate that of its issuer";

    /// <summary>Whether it is for a host, whose name is normalized.</summary>
    public bool Covers(string host) => Names.Any(pattern => HostName.Covers(pattern, host));

    /// <summary>What to say of a certificate that is valid later.</summary>
    public static CertificateProblem NotYet(string which, DateTimeOffset from) =>
        new($"{which} is not valid before {Text(from)}", "`date -u` shows what time this machine takes it to be");

    /// <summary>What to say of one that was valid.</summary>
    public static CertificateProblem Expired(string which, DateTimeOffset until) => new($"{which} expired on {Text(until)}", "renew it");

    /// <summary>A time as messages show it.</summary>
    public static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    /// <summary>Reads a file and checks it. What is wrong is added to <paramref name="problems"/>.</summary>
    /// <returns>Null when something is.</returns>
    public static CertificateChain? Read(CertificateFiles files, DateTimeOffset now, List<CertificateProblem> problems)
    {
        string file = files.Certificate;
        if (PemFile.Obstacle(file) is { } obstacle)
        {
            problems.Add(obstacle);
            return null;
        }

        X509Certificate2Collection chain = [];
        try
        {
            chain.ImportFromPemFile(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            problems.Add(PemFile.Garbled(file, error.Message));
            return null;
        }

        try
        {
            return Check(files, chain, now, problems);
        }
        catch (CryptographicException error)
        {
            // What is inside an extension is only read when it is asked for.
            problems.Add(PemFile.Garbled(file, error.Message));
            return null;
        }
        finally
        {
            foreach (X509Certificate2 certificate in chain) certificate.Dispose();
        }
    }

    private static CertificateChain? Check(
        CertificateFiles files, X509Certificate2Collection chain, DateTimeOffset now, List<CertificateProblem> problems)
    {
        string file = files.Certificate;
        if (chain.Count == 0)
        {
            problems.Add(PemFile.NoCertificate(file));
            return null;
        }

        int before = problems.Count;
        DateTimeOffset notAfter = DateTimeOffset.MaxValue;
        for (int i = 0; i < chain.Count; i++)
        {
            X509Certificate2 certificate = chain[i];
            DateTimeOffset from = certificate.NotBefore, until = certificate.NotAfter;
            if (from > now) problems.Add(NotYet($"{file}: {certificate.Subject}", from));
            if (until <= now) problems.Add(Expired($"{file}: {certificate.Subject}", until));
            if (until < notAfter) notAfter = until;
            if (i > 0) CheckIssuer(file, chain[i - 1], certificate, problems);
        }

        List<string> names =
        [
            .. chain[0].Extensions.OfType<X509SubjectAlternativeNameExtension>()
                .SelectMany(extension => extension.EnumerateDnsNames())
                .Select(HostName.NormalizePattern).OfType<string>().Distinct(),
        ];
        if (names.Count == 0)
            problems.Add(new($"{file}: {chain[0].Subject} names no host (subjectAltName, DNS)", "in one that does it has for example DNS:example.org"));
        return problems.Count > before ? null : new CertificateChain(files, names, chain[0].GetKeyAlgorithm(), notAfter);
    }

    /// <summary>What stands behind a certificate must be its issuer's: by its name, and because its key made the signature.</summary>
    private static void CheckIssuer(string file, X509Certificate2 certificate, X509Certificate2 issuer, List<CertificateProblem> problems)
    {
        if (!certificate.IssuerName.RawData.AsSpan().SequenceEqual(issuer.SubjectName.RawData))
            problems.Add(new($"{file}: {certificate.Subject} was issued by {certificate.Issuer}, and behind it comes {issuer.Subject}", IssuerNext));
        else if (!OpenSsl.IsSignedBy(certificate.RawData, issuer.RawData))
            problems.Add(new($"{file}: {certificate.Subject} was signed with another key than that of {issuer.Subject}, which stands behind it", IssuerNext));
    }
}
