using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Megaphone.Tls;

namespace Megaphone.Links;

/// <summary>What the files of a link's TLS held when they were read, checked. Immutable, so thread-safe.</summary>
internal sealed class LinkCredentials
{
    private const string ServerUse = "1.3.6.1.5.5.7.3.1";
    private const string ClientUse = "1.3.6.1.5.5.7.3.2";

    private readonly X509Certificate2Collection? _authorities;
    private readonly string _peerUse;

    private LinkCredentials(
        SslStreamCertificateContext? own,
        X509Certificate2Collection? authorities,
        string peerUse,
        IReadOnlyList<(string File, DateTimeOffset NotAfter)> validity)
    {
        Own = own;
        _authorities = authorities;
        _peerUse = peerUse;
        Validity = validity;
    }

    /// <summary>This end's certificate with its key and those of the authorities behind it; null: none.</summary>
    public SslStreamCertificateContext? Own { get; }

    /// <summary>Until when what is in each file is valid: all of a chain, at least one of several authorities.</summary>
    public IReadOnlyList<(string File, DateTimeOffset NotAfter)> Validity { get; }

    /// <summary>Reads and checks everything.</summary>
    /// <param name="options">Where it is.</param>
    /// <param name="now">The time by which it must be valid.</param>
    /// <exception cref="CertificateException">Something is wrong; it names all of it.</exception>
    public static LinkCredentials Load(LinkTlsOptions options, DateTimeOffset now)
    {
        List<CertificateProblem> problems = [];
        List<(string File, DateTimeOffset NotAfter)> validity = [];
        SslStreamCertificateContext? own = options.Own is { } files
            ? LoadOwn(files, options.Listens ? ServerUse : ClientUse, now, problems, validity)
            : null;
        X509Certificate2Collection? authorities = options.Authorities is { } file
            ? LoadAuthorities(file, now, problems, validity)
            : null;
        if (problems.Count > 0) throw new CertificateException(problems);
        return new LinkCredentials(own, authorities, options.Listens ? ClientUse : ServerUse, validity);
    }

    /// <summary>How the other end's certificate is to be judged. Nothing is fetched from anywhere for it, revocation included.</summary>
    public X509ChainPolicy PeerPolicy()
    {
        X509ChainPolicy policy = new()
        {
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.ApplicationPolicy.Add(new Oid(_peerUse));
        if (_authorities is null) return policy;

        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(_authorities);
        return policy;
    }

    private static SslStreamCertificateContext? LoadOwn(
        (string Certificate, string Key) files,
        string use,
        DateTimeOffset now,
        List<CertificateProblem> problems,
        List<(string, DateTimeOffset)> validity)
    {
        int before = problems.Count;
        X509Certificate2Collection chain = Import(files.Certificate, problems);
        foreach (X509Certificate2 certificate in chain)
        {
            string which = $"{files.Certificate}: {certificate.Subject}";
            if (certificate.NotBefore > now) problems.Add(CertificateChain.NotYet(which, certificate.NotBefore));
            if (certificate.NotAfter <= now) problems.Add(CertificateChain.Expired(which, certificate.NotAfter));
        }

        if (problems.Count > before) return null;
        try
        {
            if (!MayBeUsedFor(chain[0], use))
            {
                string missing = use == ServerUse ? "serverAuth" : "clientAuth";
                problems.Add(new(
                    $"{files.Certificate}: extendedKeyUsage of {chain[0].Subject} does not have {missing}", "issue one that has, or one without extendedKeyUsage"));
            }
        }
        catch (CryptographicException error)
        {
            // What is inside an extension is only read when it is asked for.
            problems.Add(PemFile.Garbled(files.Certificate, error.Message));
        }

        if (PemFile.KeyObstacle(files.Key) is { } obstacle)
        {
            problems.Add(obstacle);
            return null;
        }

        try
        {
            X509Certificate2 own = X509Certificate2.CreateFromPem(chain[0].ExportCertificatePem(), File.ReadAllText(files.Key));
            validity.Add((files.Certificate, chain.Min(certificate => certificate.NotAfter)));
            return SslStreamCertificateContext.Create(own, [.. chain.Skip(1)], offline: true);
        }
        catch (ArgumentException)
        {
            problems.Add(PemFile.WrongKey(files.Key, files.Certificate));
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            problems.Add(PemFile.Garbled(files.Key, error.Message, isKey: true));
            return null;
        }
    }

    private static X509Certificate2Collection LoadAuthorities(
        string file, DateTimeOffset now, List<CertificateProblem> problems, List<(string, DateTimeOffset)> validity)
    {
        X509Certificate2Collection authorities = Import(file, problems);
        if (authorities.Count == 0) return authorities;

        // Old ones may stay in the file beside their successors.
        DateTime last = authorities.Max(authority => authority.NotAfter);
        if (last <= now) problems.Add(CertificateChain.Expired($"{file}: the last of its authorities", last));

        // A chain that does not end in one that issued itself is never trusted.
        if (!authorities.Any(authority => authority.SubjectName.RawData.AsSpan().SequenceEqual(authority.IssuerName.RawData)))
            problems.Add(new($"{file}: none of its authorities is a root", $"put the certificate of {authorities[^1].Issuer} behind them"));
        validity.Add((file, last));
        return authorities;
    }

    private static X509Certificate2Collection Import(string file, List<CertificateProblem> problems)
    {
        X509Certificate2Collection certificates = [];
        if (PemFile.Obstacle(file) is { } obstacle)
        {
            problems.Add(obstacle);
            return certificates;
        }

        try
        {
            certificates.ImportFromPemFile(file);
            if (certificates.Count == 0) problems.Add(PemFile.NoCertificate(file));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            problems.Add(PemFile.Garbled(file, error.Message));
            certificates.Clear();
        }

        return certificates;
    }

    /// <summary>Without the extension a certificate is for everything (RFC 5280, section 4.2.1.12).</summary>
    private static bool MayBeUsedFor(X509Certificate2 certificate, string use) =>
        certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>()
            .All(extension => extension.EnhancedKeyUsages.Cast<Oid>().Any(oid => oid.Value == use));
}
