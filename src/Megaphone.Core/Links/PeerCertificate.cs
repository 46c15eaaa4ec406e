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
    public static CertificateProblem? FindProblem(
        X509Certificate? shown, X509Chain? chain, SslPolicyErrors errors, LinkTlsOptions options, string? host)
    {
        if (shown is not X509Certificate2 certificate || chain is null)
            return new(null, options.Listens ? "no certificate was shown: set Ecm:Link:Tls:Certificate" : "no certificate was shown");

        string subject = $"the certificate {Handshake.SanitizeForLog(certificate.Subject)}";
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            (string wrong, string fix) = DescribeChainProblem(certificate, chain, options);
            return new(null, $"{subject} {wrong}", fix);
        }

        if (host is null || Covers(certificate, host)) return null;
        string names = Handshake.SanitizeForLog(NamesOf(certificate));
        return new(
            null,
            $"{subject} is for {names}, not for {host} ({options.Section}:Name)",
            $"issue one there that has {host} in its subjectAltName, or write as {options.Section}:Name what this one is for");
    }

    private static (string Wrong, string Fix) DescribeChainProblem(X509Certificate2 certificate, X509Chain chain, LinkTlsOptions options)
    {
        X509ChainStatusFlags flags = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, status) => all | status.Status);

        // A signature that is not valid is that of another authority with the same name.
        const X509ChainStatusFlags Stranger =
            X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotSignatureValid;
        if ((flags & Stranger) != 0)
        {
            string from = options.Authorities is null ? "that this machine trusts" : $"in {options.AuthoritiesKey}";
            string issuer = Handshake.SanitizeForLog(certificate.Issuer);
            return (
                $"was issued by {issuer}, which does not come from an authority {from}",
                options.Authorities is { } file
                    ? $"put the certificate of {issuer} into {file} ({options.AuthoritiesKey}), if that is the right one"
                    : $"write as {options.AuthoritiesKey} a file with the certificate of {issuer}, if that is the right one");
        }

        if (flags.HasFlag(X509ChainStatusFlags.NotTimeValid))
        {
            DateTime now = DateTime.Now;
            if (certificate.NotAfter <= now) return ($"expired on {CertificateProblem.Text(certificate.NotAfter)}", "renew it at the other end");
            if (certificate.NotBefore > now)
                return ($"is not valid before {CertificateProblem.Text(certificate.NotBefore)}", "`date -u` must show the same time at both ends");
            return (
                "was issued by an authority that has expired",
                $"{options.AuthoritiesKey} needs its successor, and the other end a certificate of that");
        }

        if (flags.HasFlag(X509ChainStatusFlags.NotValidForUsage))
        {
            string use = options.Listens ? "clientAuth" : "serverAuth";
            return ($"may not be used for this: its extendedKeyUsage does not have {use}", $"issue one there that has {use}, or no extendedKeyUsage");
        }

        return ($"is not acceptable: {flags}", "issue another at the other end");
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
