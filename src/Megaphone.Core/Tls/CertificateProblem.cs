namespace Megaphone.Tls;

/// <summary>One thing that keeps certificates from being used.</summary>
/// <param name="What">The file that it is about, and what is wrong with it.</param>
/// <param name="Mend">The command that mends it, or what else to do; null where <paramref name="What"/> says so itself.</param>
internal sealed record CertificateProblem(string What, string? Mend = null)
{
    /// <summary>All of it in one line.</summary>
    public override string ToString() => Mend is null ? What : $"{What}; {Mend}";
}
