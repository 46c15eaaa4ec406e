using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>A key whose values are of one type.</summary>
/// <param name="path">The key.</param>
/// <param name="format">How values are written.</param>
/// <param name="fallback">The value when none is given.</param>
/// <param name="meaning">What it means.</param>
/// <param name="shown">The default in words, where it depends on something; null: as the format writes it.</param>
/// <param name="example">A right value, where that of the format does not fit.</param>
internal sealed class SettingKey<T>(
    string path, ValueFormat<T> format, T fallback, string meaning, string? shown, string? example)
    : SettingKey(path, meaning)
{
    /// <summary>How values are written.</summary>
    public ValueFormat<T> Format { get; } = format;

    /// <summary>The value when none is given.</summary>
    public T Fallback { get; } = fallback;

    /// <inheritdoc/>
    public override string Example { get; } = example ?? format.Example;

    /// <inheritdoc/>
    public override string Default { get; } = shown ?? format.Write(fallback);

    /// <inheritdoc/>
    public override string Form => Format.Form;

    /// <inheritdoc/>
    public override bool IsSecret => Format.IsSecret;

    /// <summary>The key of one item of a list, or of one category.</summary>
    public SettingKey<T> At(string item) => new(PathAt(item), Format, Fallback, Meaning, Default, Example);
}
