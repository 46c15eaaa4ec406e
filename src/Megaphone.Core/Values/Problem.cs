using System.Text;

namespace Megaphone.Values;

/// <summary>What is wrong with one setting, said in one line that also shows how a right one looks.</summary>
/// <param name="Key">The key, as the schema spells it; or the file or argument that the problem is about.</param>
/// <param name="Value">What was written there; null where there is nothing that can, or may, be shown.</param>
/// <param name="Wrong">What is wrong, as the end of a sentence that begins with the key.</param>
/// <param name="Advice">An example of a right value, or what to write instead.</param>
internal sealed record Problem(string Key, string? Value, string Wrong, string Advice)
{
    /// <summary>Longer values are cut: the line is for finding the setting, not for repeating it.</summary>
    private const int LongestValue = 80;

    /// <summary>The line that the operator reads.</summary>
    public override string ToString() =>
        Value is null ? $"{Key}: {Wrong}; {Advice}" : $"{Key} \"{Shown(Value)}\": {Wrong}; {Advice}";

    private static string Shown(string value)
    {
        StringBuilder shown = new();
        foreach (char c in value.AsSpan(0, Math.Min(value.Length, LongestValue)))
            shown.Append(char.IsControl(c) ? '?' : c);
        return value.Length > LongestValue ? shown.Append('…').ToString() : shown.ToString();
    }
}
