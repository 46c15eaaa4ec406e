using Megaphone.Links;
using Megaphone.Tls;

namespace Megaphone.Preflight;

/// <summary>What <c>megaphone check</c> needs to know about the TLS files of a role's links.</summary>
/// <param name="Options">Which they are.</param>
/// <param name="Validity">Until when each file is valid; empty when they cannot be used.</param>
/// <param name="Problems">What is wrong with them.</param>
internal sealed record LinkTlsFacts(
    LinkTlsOptions Options, IReadOnlyList<(string File, DateTimeOffset NotAfter)> Validity, IReadOnlyList<CertificateProblem> Problems);
