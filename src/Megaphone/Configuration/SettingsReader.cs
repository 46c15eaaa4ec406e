using Megaphone.Operator;
using Megaphone.Values;
using Microsoft.Extensions.Configuration;

namespace Megaphone.Configuration;

/// <summary>
/// Reads keys of the table out of the sources, and collects what is wrong, so that the operator sees all problems at once.
/// </summary>
/// <remarks>
/// An empty value counts as none given, in every source: JSON's <c>null</c>, <c>MEGAPHONE_HUB__SECRET=</c> and <c>--Hub:Secret=</c>; the latter
/// two take back what an earlier source said.
/// </remarks>
/// <param name="sources">What each source says by key, whatever the case; later ones win.</param>
/// <param name="problems">Where problems are added.</param>
internal sealed class SettingsReader(IReadOnlyList<IReadOnlyDictionary<string, GivenValue>> sources, List<Problem> problems)
{
    private readonly HashSet<string> _refused = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _malformed = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The value of a key, or its fallback when none is given or it is wrong.</summary>
    public T Read<T>(SettingKey<T> key) => Read(key, key.Fallback);

    /// <summary>The value of a key whose fallback depends on something.</summary>
    public T Read<T>(SettingKey<T> key, T fallback)
    {
        if (Text(key) is not { } text) return fallback;
        if (key.Format.Read(text, out T value) is not { } wrong) return value;

        _malformed.Add(key.Path);
        Refuse(key, wrong, key.Example);
        return fallback;
    }

    /// <summary>
    /// The values of a key that takes one value or a list of them, each with its own key. The last source that says anything about it decides
    /// which: a value in it is the only one, an item in it makes a list of all items that any source has.
    /// </summary>
    /// <param name="one">The key that takes one value.</param>
    /// <param name="each">The key of an item.</param>
    public IReadOnlyList<(SettingKey<T> Key, T Value)> ReadOneOrMore<T>(SettingKey<T> one, SettingKey<T> each)
    {
        bool isList = sources.LastOrDefault(source => SaysOne(source) || SaysItem(source)) is { } last && !SaysOne(last);
        SettingKey<T>[] keys = isList ? [.. Items(one.Path).Select(each.At).Where(IsGiven)] : [one];
        foreach (SettingKey<T> key in keys)
        {
            SettingKey<T> first = keys.First(other => Text(other) == Text(key));
            if (first != key) Refuse(key, $"repeats {first.Path}", "another one, or leave it out");
        }

        return [.. keys.Select(key => (key, Read(key)))];

        bool SaysOne(IReadOnlyDictionary<string, GivenValue> source) =>
            source.TryGetValue(one.Path, out GivenValue? given) && !string.IsNullOrEmpty(given.Text);

        bool SaysItem(IReadOnlyDictionary<string, GivenValue> source) =>
            source.Any(given => IsBelow(given.Key, one.Path) && !string.IsNullOrEmpty(given.Value.Text));
    }

    /// <summary>The values of a list.</summary>
    /// <param name="item">The key of an item.</param>
    /// <param name="fallback">The list when none is given; <c>[]</c> gives an empty one.</param>
    public IReadOnlyList<T> ReadList<T>(SettingKey<T> item, IReadOnlyList<T> fallback)
    {
        SettingKey<T>[] given = [.. Items(item.Parent).Select(item.At).Where(IsGiven)];
        return given.Length == 0 && Last(item.Parent) is not { Text: "" } ? fallback : [.. given.Select(Read)];
    }

    /// <summary>
    /// Whether a section is switched on. The last source that says anything about it decides: <c>true</c> or a key in it says yes,
    /// <c>false</c> says no, also where the same source sets keys in it.
    /// </summary>
    /// <returns>Null when no source says anything.</returns>
    public bool? IsOn(SettingKey<bool> section)
    {
        foreach (IReadOnlyDictionary<string, GivenValue> source in sources.Reverse())
        {
            if (source.TryGetValue(section.Path, out GivenValue? given) && !string.IsNullOrEmpty(given.Text)) return Read(section, true);
            if (KeysOf(source).Any(key => IsBelow(key, section.Path))) return true;
        }

        return null;
    }

    /// <summary>The positions that are given in a list, in order.</summary>
    public IReadOnlyList<string> Items(string list) =>
        [.. Below(list).Where(name => name.All(char.IsAsciiDigit)).OrderBy(item => item, ConfigurationKeyComparer.Instance)];

    /// <summary>The names right below a section.</summary>
    public IEnumerable<string> Below(string section) => sources
        .SelectMany(KeysOf)
        .Where(key => IsBelow(key, section))
        .Select(key => key[(section.Length + 1)..].Split(':')[0])
        .Distinct(StringComparer.OrdinalIgnoreCase);

    /// <summary>What is configured for each key that has a value, in the order of the table: secrets are not shown.</summary>
    public IReadOnlyList<ConfiguredValue> Describe() => [.. SettingKeys.All.SelectMany(Describe)];

    /// <summary>Whether a source gives the key a value.</summary>
    public bool IsGiven(SettingKey key) => Text(key) is not null;

    /// <summary>Whether what was read for a key is what the operator meant: what is given is well formed, and nothing is missing.</summary>
    public bool IsMeant(string path) => Last(path) is { Text.Length: > 0 } ? !_malformed.Contains(path) : !_refused.Contains(path);

    /// <summary>Whether there is a problem with a key already.</summary>
    public bool IsRefused(string path) => _refused.Contains(path);

    /// <summary>Adds a problem with a key, unless there is one with that key already.</summary>
    /// <param name="key">The key.</param>
    /// <param name="wrong">What is wrong, as the end of a sentence that begins with the key.</param>
    /// <param name="example">A right value.</param>
    public void Refuse(SettingKey key, string wrong, string example) => Refuse(key.Path, wrong, example, key.IsSecret);

    /// <summary>The same for a key by its path.</summary>
    public void Refuse(string path, string wrong, string example, bool isSecret = false)
    {
        if (!_refused.Add(path)) return;

        (string? text, string? origin) = Last(path) is { Text.Length: > 0 } given ? (given.Text, given.Origin) : (null, null);
        problems.Add(new Problem(path, isSecret ? null : Shown(text), wrong, $"for example {example}", origin));
    }

    /// <summary>Adds a problem for every key that is given and that is none, or that is a section and has no keys. To be called last.</summary>
    public void RefuseStrays()
    {
        IEnumerable<string> keys = sources.SelectMany(KeysOf).Distinct(StringComparer.OrdinalIgnoreCase);
        foreach (string key in keys.OrderBy(key => key, StringComparer.OrdinalIgnoreCase))
        {
            GivenValue given = Last(key)!;
            SettingKey? known = SettingKeys.All.FirstOrDefault(known => known.Matches(key));
            SettingKey? inside = SettingKeys.All.FirstOrDefault(known => known.IsIn(key));
            string? text = string.IsNullOrEmpty(given.Text) ? null : Shown(given.Text);
            if (known is not null && (inside is null || text is not null || inside.IsItemOf(known))) continue;
            if (given.Text == "" && inside?.IsItemIn(key) is true) continue;

            if (SettingKeys.Gone.TryGetValue(key, out string? instead))
                problems.Add(new Problem(key, text, "is a key that exists no more", $"take it out: {instead}", given.Origin));
            else if (inside is null)
                problems.Add(Unknown(key, text, given.Origin));
            else if (text is not null)
                problems.Add(new Problem(key, text, "is a section and takes no value of its own", $"for example {inside.Like(key)}", given.Origin));
            else if (!_refused.Any(refused => IsBelow(refused, key) || refused.Equals(key, StringComparison.OrdinalIgnoreCase)))
                problems.Add(new Problem(known?.Path ?? key, null, "is empty", InsteadOfEmpty(known, inside.Like(key)), given.Origin));
        }
    }

    private static string InsteadOfEmpty(SettingKey? known, string keyInside) => known is null
        ? $"leave it out, or set a key in it, for example {keyInside}"
        : "write true to run it with its defaults, or false";

    private static Problem Unknown(string key, string? text, string origin)
    {
        // That the section exists is no help to whoever misspelt a key in it.
        IEnumerable<SettingKey> candidates = SettingKeys.All.Where(known =>
            !IsBelow(key, known.Path) || !SettingKeys.All.Any(other => other.IsIn(known.Path)));
        // In the name of an environment variable underscores separate sections.
        string? nearest = NearestKey.To(key.Replace('_', ':'), candidates.Select(known => known.Like(key)));
        bool isSecret = NameIsSecret(key) || (nearest is not null && SettingKeys.All.First(known => known.Matches(nearest)).IsSecret);
        string advice = nearest is null ? "`megaphone --help` lists them" : $"the nearest is {nearest}";
        return new Problem(key, isSecret ? null : text, "is not a key that exists", advice, origin);
    }

    /// <summary>A misspelt secret is still a secret.</summary>
    private static bool NameIsSecret(string key) =>
        key.Contains("secr", StringComparison.OrdinalIgnoreCase) || key.Contains("pass", StringComparison.OrdinalIgnoreCase);

    /// <summary>JSON's <c>true</c> comes as "True" from the framework.</summary>
    private static string? Shown(string? text) => text is "True" or "False" ? text.ToLowerInvariant() : text;

    private static IEnumerable<string> KeysOf(IReadOnlyDictionary<string, GivenValue> source)
    {
        foreach ((string key, _) in source) yield return key;
    }

    private static bool IsBelow(string key, string section) =>
        key.Length > section.Length + 1 && key[section.Length] == ':' && key.StartsWith(section, StringComparison.OrdinalIgnoreCase);

    private IEnumerable<ConfiguredValue> Describe(SettingKey key)
    {
        string[] given =
        [
            .. sources.SelectMany(KeysOf).Where(key.Matches).Distinct(StringComparer.OrdinalIgnoreCase)
                .Where(path => Last(path) is { Text.Length: > 0 }).OrderBy(path => path, ConfigurationKeyComparer.Instance),
        ];
        if (given.Length == 0)
            return key.IsOne ? [new ConfiguredValue(key.Path, key.Default, ConfiguredValue.Default)] : [];
        return given.Select(path => new ConfiguredValue(path, key.IsSecret ? "(a secret)" : Shown(Last(path)!.Text)!, Last(path)!.Origin));
    }

    private string? Text(SettingKey key) => Last(key.Path) is { Text.Length: > 0 } given ? given.Text : null;

    private GivenValue? Last(string path) => sources.LastOrDefault(source => source.ContainsKey(path))?[path];
}
