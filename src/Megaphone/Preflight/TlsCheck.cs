using Megaphone.Configuration;
using Megaphone.Tls;

namespace Megaphone.Preflight;

/// <summary>Checks the certificates and keys that this end shows, and those by which it trusts others.</summary>
internal static class TlsCheck
{
    /// <summary>Below this a certificate should have been renewed.</summary>
    public const int RenewalDays = 14;

    /// <summary>Runs all checks.</summary>
    public static IEnumerable<Finding> Run(Settings settings, MachineFacts machine)
    {
        TlsServerOptions? clients = settings.Ecm?.Tls?.Server;
        foreach (CertificateProblem problem in machine.CertificateProblems)
            yield return new(Verdict.Fail, KeyOf(clients, problem.File), problem.What, problem.Fix);
        foreach (CertificateChain chain in machine.Certificates)
        {
            int days = DaysUntil(chain.NotAfter, machine.Now);
            string names = string.Join(", ", chain.Names);
            yield return Validity(KeyOf(clients, chain.Files.Certificate), $"{chain.Files.Certificate} covers {names} for {days} more days", days);
        }

        foreach (LinkTlsFacts facts in machine.LinkTls)
        {
            foreach (CertificateProblem problem in facts.Problems)
                yield return new(Verdict.Fail, facts.Options.KeyOf(problem.File), problem.What, problem.Fix);
            foreach ((string file, DateTimeOffset notAfter) in facts.Validity)
            {
                int days = DaysUntil(notAfter, machine.Now);
                yield return Validity(facts.Options.KeyOf(file), $"{file} is valid for {days} more days", days);
            }
        }
    }

    /// <summary>The whole days that are left.</summary>
    public static int DaysUntil(DateTimeOffset notAfter, DateTimeOffset now) => (int)(notAfter - now).TotalDays;

    private static Finding Validity(string key, string what, int days) => days < RenewalDays
        ? new(Verdict.Warn, key, what, "renew it; changed files are reloaded at once")
        : new(Verdict.Ok, key, what);

    private static string KeyOf(TlsServerOptions? clients, string? file)
    {
        for (int i = 0; file is not null && i < clients?.Certificates.Count; i++)
        {
            if (clients.Certificates[i].Certificate == file) return $"Ecm:Tls:Certificates:{i}:Certificate";
            if (clients.Certificates[i].Key == file) return $"Ecm:Tls:Certificates:{i}:Key";
        }

        return "Ecm:Tls";
    }
}
