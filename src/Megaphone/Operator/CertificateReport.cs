namespace Megaphone.Operator;

/// <summary>A certificate in use.</summary>
/// <param name="Name">The name of its file, without the folder.</param>
/// <param name="For"><c>clients</c> or <c>links</c>.</param>
/// <param name="DaysLeft">Whole days until it expires; below 0 afterwards.</param>
internal sealed record CertificateReport(string Name, string For, int DaysLeft);
