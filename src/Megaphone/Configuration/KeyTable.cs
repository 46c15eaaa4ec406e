using System.Runtime.CompilerServices;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Collects keys in the order in which they are declared, and has short forms for the usual kinds.</summary>
internal sealed class KeyTable
{
    private readonly List<SettingKey> _keys = [];

    /// <summary>The keys declared so far.</summary>
    public IReadOnlyList<SettingKey> Keys => _keys;

    /// <summary>Declares a key.</summary>
    /// <param name="path">The key.</param>
    /// <param name="format">How values are written.</param>
    /// <param name="fallback">The value when none is given.</param>
    /// <param name="meaning">What it means.</param>
    /// <param name="shown">The default in words, where it depends on something.</param>
    /// <param name="example">A right value, where that of the format does not fit.</param>
    [MethodImpl(MethodImplOptions.NoInlining)] // It is called once for each key; inlined, the table's initializer is 10 KB larger.
    public SettingKey<T> Add<T>(
        string path, ValueFormat<T> format, T fallback, string meaning, string? shown = null, string? example = null)
    {
        SettingKey<T> key = new(path, format, fallback, meaning, shown, example);
        _keys.Add(key);
        return key;
    }

    /// <summary>Declares a section that <c>true</c> switches on with its defaults, and <c>false</c> off.</summary>
    public SettingKey<bool> Section(string path, bool fallback, string meaning, string? shown = null) =>
        Add(path, SettingFormats.Section, fallback, meaning, shown);

    /// <summary>Declares a whole number.</summary>
    public SettingKey<int> Number(
        string path, int least, int most, int fallback, string meaning, string? shown = null, int? example = null) =>
        Add(path, ValueFormats.Number(least, most, example ?? fallback), fallback, meaning, shown);

    /// <summary>Declares a number of bytes.</summary>
    public SettingKey<int> Size(string path, int least, int most, int fallback, string meaning, string? shown = null) =>
        Add(path, ValueFormats.Size(least, most, fallback), fallback, meaning, shown);

    /// <summary>Declares a number of bytes that may be larger than 2 GiB.</summary>
    public SettingKey<long> LongSize(string path, long least, long most, long fallback, string meaning) =>
        Add(path, ValueFormats.Size(least, most, fallback), fallback, meaning);

    /// <summary>Declares a duration.</summary>
    public SettingKey<TimeSpan> Duration(string path, TimeSpan least, TimeSpan most, TimeSpan fallback, string meaning) =>
        Add(path, ValueFormats.Duration(least, most, fallback), fallback, meaning);

    /// <summary>Declares a duration of whole seconds.</summary>
    public SettingKey<TimeSpan> Seconds(string path, TimeSpan least, TimeSpan most, TimeSpan fallback, string meaning) =>
        Add(path, ValueFormats.Seconds(least, most, fallback), fallback, meaning);

    /// <summary>Declares the path of a file.</summary>
    public SettingKey<string?> File(string path, string example, string meaning, string? shown = null) =>
        Add(path, SettingFormats.File, null, meaning, shown, example);
}
