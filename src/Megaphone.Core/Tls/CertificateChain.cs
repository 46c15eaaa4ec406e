using System.Security.Cryptography.X509Certificates;

namespace Megaphone.Tls;

/// <summary>What a certificate file for clients says, checked: whom it is for, until when, and with which kind of key.</summary>
/// <param name="Files">Where it is.</param>
/// <param name="Names">The hosts that it covers, normalized; some with a wildcard. At least one.</param>
/// <param name="KeyKind">The kind of its key, as an object identifier.</param>
/// <param name="NotAfter">Until when it, and all that stand behind it in the file, are valid.</param>
internal sealed record CertificateChain(CertificateFiles Files, IReadOnlyList<string> Names, string KeyKind, DateTimeOffset NotAfter)
{
    /// <summary>Whether it is for a host, whose name is normalized.</summary>
    public bool Covers(string host) => Names.Any(pattern => HostName.Covers(pattern, host));

    /// <summary>Reads a file and checks it.</summary>
    /// <returns>Null when something is wrong.</returns>
    public static CertificateChain? Read(CertificateFiles files, CertificateCheck check)
    {
        X509Certificate2Collection chain = check.Read(files.Certificate);
        if (chain.Count == 0) return null;
        CertificateChain? read = check.Inspect(files.Certificate, () => Read(files, chain, check));
        foreach (X509Certificate2 certificate in chain) certificate.Dispose();
        return read;
    }

    private static CertificateChain Read(CertificateFiles files, X509Certificate2Collection chain, CertificateCheck check)
    {
        string file = files.Certificate;
        DateTimeOffset notAfter = check.CheckValidity(file, chain);
        check.CheckIssuers(file, chain);
        List<string> names =
        [
            .. chain[0].Extensions.OfType<X509SubjectAlternativeNameExtension>()
                .SelectMany(extension => extension.EnumerateDnsNames())
                .Select(HostName.NormalizePattern).OfType<string>().Distinct(),
        ];
        if (names.Count == 0)
        {
            check.Problems.Add(new(
                file, $"{chain[0].Subject} names no host (subjectAltName, DNS)",
                "in one that does it has for example DNS:example.org"));
        }

        return new CertificateChain(files, names, chain[0].GetKeyAlgorithm(), notAfter);
    }
}
