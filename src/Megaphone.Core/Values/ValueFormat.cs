namespace Megaphone.Values;

/// <summary>The text format of a setting's values.</summary>
/// <param name="Read">Parses a value.</param>
/// <param name="Example">A valid value.</param>
/// <param name="IsSecret">Whether values must never be printed.</param>
internal sealed record ValueFormat<T>(ValueReader<T> Read, string Example, bool IsSecret = false)
{
    /// <summary>What values look like, in a few words for a table: their bounds, or a pattern.</summary>
    public string Form { get; init; } = "";

    /// <summary>Writes a value as an operator would.</summary>
    public Func<T, string> Write { get; init; } = value => value?.ToString() ?? "none";
}
