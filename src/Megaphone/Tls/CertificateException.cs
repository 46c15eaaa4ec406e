namespace Megaphone.Tls;

/// <summary>Certificates cannot be used; the message has one line for each thing that is wrong.</summary>
internal sealed class CertificateException(IReadOnlyList<string> problems) : Exception(string.Join("; ", problems))
{
    /// <summary>What is wrong, each with the file that it is about.</summary>
    public IReadOnlyList<string> Problems => problems;
}
