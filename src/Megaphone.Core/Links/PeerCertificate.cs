using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Megaphone.Tls;

namespace Megaphone.Links;

/// <summary>Checks the certificate that the other end of a link has shown.</summary>
internal static class PeerCertificate
{
    /// <summary>What is wrong with it, in words that make sense in the logs of both ends.</summary>
    /// <param name="shown">The certificate; null: none was shown.</param>
    /// <param name="chain">As it was built by <see cref="LinkCredentials.PeerPolicy"/>.</param>
    /// <param name="errors">Whether anything is wrong with the chain.</param>
    /// <param name="options">What is required.</param>
    /// <param name="host">The host that it must cover; null: any.</param>
    /// <returns>Null when it is accepted.</returns>
    public static string? FindProblem(X509Certificate? shown, X509Chain? chain, SslPolicyErrors errors, LinkTlsOptions options, string? host)
    {
        if (shown is not X509Certificate2 certificate || chain is null)
            return options.Listens ? "no certificate was shown: set Ecm:Link:Tls:Certificate" : "no certificate was shown";

        string subject = $"the certificate {Handshake.SanitizeForLog(certificate.Subject)}";
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors)) return $"{subject} {DescribeChainProblem(certificate, chain, options)}";
        return host is not null && !Covers(certificate, host)
            ? $"{subject} is for {Handshake.SanitizeForLog(NamesOf(certificate))}, not for {host} ({options.Section}:Name)"
            : null;
    }

    private static string DescribeChainProblem(X509Certificate2 certificate, X509Chain chain, LinkTlsOptions options)
    {
        X509ChainStatusFlags flags = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, status) => all | status.Status);
        if ((flags & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != 0)
        {
            string from = options.Authorities is null ? "that this machine trusts" : $"in {options.AuthoritiesKey}";
            return $"was issued by {Handshake.SanitizeForLog(certificate.Issuer)}, which does not come from an authority {from}";
        }

        if (flags.HasFlag(X509ChainStatusFlags.NotTimeValid))
        {
            DateTime now = DateTime.Now;
            if (certificate.NotAfter <= now) return $"expired on {CertificateProblem.Text(certificate.NotAfter)}";
            if (certificate.NotBefore > now) return $"is not valid before {CertificateProblem.Text(certificate.NotBefore)}";
            return "was issued by an authority that has expired";
        }

        if (flags.HasFlag(X509ChainStatusFlags.NotValidForUsage))
            return $"may not be used for this: its extendedKeyUsage does not have {(options.Listens ? "clientAuth" : "serverAuth")}";
        return $"is not acceptable: {flags}";
    }

    /// <summary>By the subjectAltName alone (RFC 9525, section 2); the common name does not count.</summary>
    private static bool Covers(X509Certificate2 certificate, string name)
    {
        try
        {
            return certificate.MatchesHostname(name, allowWildcards: true, allowCommonName: false);
        }
        catch (ArgumentException)
        {
            // No certificate covers what is not a host name.
            return false;
        }
    }

    private static string NamesOf(X509Certificate2 certificate)
    {
        List<string> names = [];
        foreach (X509SubjectAlternativeNameExtension extension in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
        {
            names.AddRange(extension.EnumerateDnsNames());
            names.AddRange(extension.EnumerateIPAddresses().Select(address => address.ToString()));
        }

        return names.Count == 0 ? "no host (subjectAltName)" : string.Join(", ", names);
    }
}
