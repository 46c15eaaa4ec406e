using System.Text;

namespace Megaphone.Values;

/// <summary>A problem with one setting, as one line that also shows a valid value.</summary>
/// <param name="Key">The key, as it was written; or the file or argument that the problem is about.</param>
/// <param name="Value">The invalid value; null if there is none, or it must not be printed.</param>
/// <param name="Wrong">What is wrong, as the end of a sentence that begins with the key.</param>
/// <param name="Advice">An example of a valid value, or what to write instead.</param>
/// <param name="Origin">The file, environment variable or argument that the value comes from; null if that is obvious, or there is no value.</param>
internal sealed record Problem(string Key, string? Value, string Wrong, string Advice, string? Origin = null)
{
    /// <summary>Longer values are cut: the line only has to identify the setting.</summary>
    private const int MaxPrintedLength = 80;

    /// <summary>The line for the operator.</summary>
    public override string ToString() =>
        $"{Key}{(Value is null ? "" : $" \"{Printable(Value)}\"")}{(Origin is null ? "" : $" from {Origin}")}: {Wrong}; {Advice}";

    private static string Printable(string value)
    {
        StringBuilder text = new();
        foreach (char c in value.AsSpan(0, Math.Min(value.Length, MaxPrintedLength)))
            text.Append(char.IsControl(c) ? '?' : c);
        return value.Length > MaxPrintedLength ? text.Append('…').ToString() : text.ToString();
    }
}
