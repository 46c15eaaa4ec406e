namespace Megaphone.Bench;

/// <summary>One number of a report.</summary>
/// <param name="Key">Its name for machines: <c>logins_per_second</c>.</param>
/// <param name="Title">Its name for people.</param>
/// <param name="Value">The number.</param>
/// <param name="AddsUp">Whether the numbers of several processes add up; else the largest counts.</param>
internal readonly record struct BenchFigure(string Key, string Title, double Value, bool AddsUp)
{
    /// <summary>The figure with another process's number merged into it.</summary>
    public BenchFigure With(double other) => this with { Value = AddsUp ? Value + other : Math.Max(Value, other) };
}
