namespace Megaphone.Bench;

/// <summary>One number of a report.</summary>
/// <param name="Key">Its name for machines: <c>logins_per_second</c>.</param>
/// <param name="Title">Its name for people.</param>
/// <param name="Value">The number.</param>
internal readonly record struct BenchFigure(string Key, string Title, double Value);
