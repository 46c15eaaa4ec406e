namespace Megaphone.Tls;

/// <summary>Where a certificate and its key are, and what it is for.</summary>
/// <param name="Certificate">A PEM file: the certificate, and behind it those of the authorities up to the root or below it.</param>
/// <param name="Key">A PEM file with the private key, not encrypted.</param>
/// <param name="Names">The hosts that it must cover, normalized; it may cover others, too. Empty: whatever it covers is right.</param>
internal sealed record CertificateFiles(string Certificate, string Key, IReadOnlyList<string> Names);
