using System.Text;

namespace Megaphone.Values;

/// <summary>What is wrong with one setting, said in one line that also shows how a right one looks.</summary>
/// <param name="Key">The key, as it was written; or the file or argument that the problem is about.</param>
/// <param name="Value">What was written there; null where there is nothing that can, or may, be shown.</param>
/// <param name="Wrong">What is wrong, as the end of a sentence that begins with the key.</param>
/// <param name="Advice">An example of a right value, or what to write instead.</param>
/// <param name="Origin">The file, environment variable or argument that the value comes from; null where that is plain, or there is no value.</param>
internal sealed record Problem(string Key, string? Value, string Wrong, string Advice, string? Origin = null)
{
    /// <summary>Longer values are cut: the line is for finding the setting, not for repeating it.</summary>
    private const int LongestValue = 80;

    /// <summary>The line that the operator reads.</summary>
    public override string ToString() =>
        $"{Key}{(Value is null ? "" : $" \"{Shown(Value)}\"")}{(Origin is null ? "" : $" from {Origin}")}: {Wrong}; {Advice}";

    private static string Shown(string value)
    {
        StringBuilder shown = new();
        foreach (char c in value.AsSpan(0, Math.Min(value.Length, LongestValue)))
            shown.Append(char.IsControl(c) ? '?' : c);
        return value.Length > LongestValue ? shown.Append('…').ToString() : shown.ToString();
    }
}
