using Megaphone.Tls;

namespace Megaphone.Preflight;

/// <summary>What <c>megaphone check</c> needs to know about the TLS files of a role's links.</summary>
/// <param name="Section">Their section in the configuration.</param>
/// <param name="Validity">Until when each file is valid; empty when they cannot be used.</param>
/// <param name="Problems">What is wrong with them.</param>
internal sealed record LinkTlsFacts(
    string Section, IReadOnlyList<(string File, DateTimeOffset NotAfter)> Validity, IReadOnlyList<CertificateProblem> Problems);
