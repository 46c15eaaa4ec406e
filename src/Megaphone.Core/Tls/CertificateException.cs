namespace Megaphone.Tls;

/// <summary>Certificates cannot be used; the message has all that is wrong.</summary>
internal sealed class CertificateException(IReadOnlyList<CertificateProblem> problems) : Exception(string.Join("; ", problems))
{
    /// <summary>With what is wrong in words.</summary>
    public CertificateException(IReadOnlyList<string> problems)
        : this([.. problems.Select(problem => new CertificateProblem(null, problem))])
    {
    }

    /// <summary>What is wrong, each with the file that it is about.</summary>
    public IReadOnlyList<CertificateProblem> Problems => problems;
}
