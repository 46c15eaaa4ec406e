using Megaphone.Tls;

namespace Megaphone.Preflight;

/// <summary>What <c>megaphone check</c> needs to know of the files for the TLS of a role's links.</summary>
/// <param name="Section">Where they are configured.</param>
/// <param name="Validity">Until when what is in each is valid; empty when they cannot be used.</param>
/// <param name="Problems">What is wrong with them.</param>
internal sealed record LinkTlsFacts(
    string Section, IReadOnlyList<(string File, DateTimeOffset NotAfter)> Validity, IReadOnlyList<CertificateProblem> Problems);
