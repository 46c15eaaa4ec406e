namespace Megaphone.Values;

/// <summary>How the values of a setting are written.</summary>
/// <param name="Read">Reads one.</param>
/// <param name="Example">A right one.</param>
/// <param name="IsSecret">Whether values must never be printed.</param>
internal sealed record ValueFormat<T>(ValueReader<T> Read, string Example, bool IsSecret = false)
{
    /// <summary>What values look like, in a few words for a table: their bounds, or a pattern.</summary>
    public string Form { get; init; } = "";

    /// <summary>Writes a value as an operator would.</summary>
    public Func<T, string> Write { get; init; } = value => value?.ToString() ?? "none";
}
