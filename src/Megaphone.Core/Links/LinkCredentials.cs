using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Megaphone.Handover;
using Megaphone.Tls;

namespace Megaphone.Links;

/// <summary>The certificates and key of a link's TLS, as read from their files and checked. Immutable, so thread-safe.</summary>
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

    /// <summary>This end's certificate and key, with the intermediate certificates; null: none.</summary>
    public SslStreamCertificateContext? Own { get; }

    /// <summary>Until when each file is valid: all certificates of a chain, at least one of several authorities.</summary>
    public IReadOnlyList<(string File, DateTimeOffset NotAfter)> Validity { get; }

    /// <summary>Reads and checks all files.</summary>
    /// <param name="options">The files.</param>
    /// <param name="now">The time at which they must be valid.</param>
    /// <exception cref="CertificateException">They cannot be used; it lists all problems.</exception>
    public static LinkCredentials Load(LinkTlsOptions options, DateTimeOffset now)
    {
        CertificateCheck check = new(now);
        List<(string File, DateTimeOffset NotAfter)> validity = [];
        SslStreamCertificateContext? own = options.Own is { } files
            ? LoadOwn(files, options.Listens ? ServerUse : ClientUse, check, validity)
            : null;
        X509Certificate2Collection? authorities = options.Authorities is { } file
            ? LoadAuthorities(file, check, validity)
            : null;
        check.ThrowIfAny();
        return new LinkCredentials(own, authorities, options.Listens ? ClientUse : ServerUse, validity);
    }

    /// <summary>The policy for checking the other end's certificate. Nothing is fetched for it, not even revocation lists.</summary>
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
        (string Certificate, string Key) files, string use, CertificateCheck check, List<(string, DateTimeOffset)> validity)
    {
        X509Certificate2Collection chain = check.Read(files.Certificate);
        if (chain.Count == 0) return null;
        int before = check.Problems.Count;
        DateTimeOffset notAfter = check.CheckValidity(files.Certificate, chain);
        if (check.Problems.Count > before) return null;

        bool mayBeUsed = check.Inspect(files.Certificate, () => MayBeUsedFor(chain[0], use));
        if (check.Problems.Count > before) return null;
        if (!mayBeUsed)
        {
            string missing = use == ServerUse ? "serverAuth" : "clientAuth";
            check.Problems.Add(new(
                files.Certificate, $"extendedKeyUsage of {chain[0].Subject} does not have {missing}",
                "issue one that has, or one without extendedKeyUsage"));
        }

        if (!check.CheckKey(files.Certificate, files.Key)) return null;
        try
        {
            string key = File.ReadAllText(RehearsedFiles.PathOf(files.Key));
            X509Certificate2 own = X509Certificate2.CreateFromPem(chain[0].ExportCertificatePem(), key);
            validity.Add((files.Certificate, notAfter));
            return SslStreamCertificateContext.Create(own, [.. chain.Skip(1)], offline: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            // A key of a kind that the framework does not know, or a file that changed meanwhile.
            check.Problems.Add(PemFile.Garbled(files.Key, error.Message, isKey: true));
            return null;
        }
    }

    private static X509Certificate2Collection LoadAuthorities(string file, CertificateCheck check, List<(string, DateTimeOffset)> validity)
    {
        X509Certificate2Collection authorities = check.Read(file);
        if (authorities.Count == 0) return authorities;

        // Expired ones may stay in the file beside their successors.
        DateTime last = authorities.Max(authority => authority.NotAfter);
        if (last <= check.Now) check.Problems.Add(CertificateProblem.Expired(file, "the last of its authorities", last));

        // A chain that does not end in a self-issued certificate is never trusted.
        if (!authorities.Any(authority => authority.SubjectName.RawData.AsSpan().SequenceEqual(authority.IssuerName.RawData)))
            check.Problems.Add(new(file, "none of its authorities is a root", $"put the certificate of {authorities[^1].Issuer} behind them"));
        validity.Add((file, last));
        return authorities;
    }

    /// <summary>Without the extension a certificate may be used for anything (RFC 5280, section 4.2.1.12).</summary>
    private static bool MayBeUsedFor(X509Certificate2 certificate, string use) =>
        certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>()
            .All(extension => extension.EnhancedKeyUsages.Cast<Oid>().Any(oid => oid.Value == use));
}
