namespace Megaphone.Operator;

/// <summary>How often something has happened.</summary>
/// <param name="Name">What: the label that metrics have for it.</param>
/// <param name="Count">How often; not 0.</param>
internal sealed record CountReport(string Name, long Count);
