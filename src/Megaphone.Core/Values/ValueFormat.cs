namespace Megaphone.Values;

/// <summary>The text format of a setting's values.</summary>
/// <param name="Read">Parses a value.</param>
/// <param name="Example">A valid value.</param>
/// <param name="IsSecret">Whether values must never be printed.</param>
internal sealed record ValueFormat<T>(ValueReader<T> Read, string Example, bool IsSecret = false)
{
    /// <summary>The form of values for a table: their bounds, or a pattern.</summary>
    public string Form { get; init; } = "";

    /// <summary>Formats a value as it is written in a configuration.</summary>
    public Func<T, string> Write { get; init; } = value => value?.ToString() ?? "none";
}
