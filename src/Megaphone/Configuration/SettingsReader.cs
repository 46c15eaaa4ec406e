using Megaphone.Values;
using Microsoft.Extensions.Configuration;

namespace Megaphone.Configuration;

/// <summary>
/// Reads settings key by key, remembers which keys there are, and collects what is wrong, so that the operator sees
/// all of it at once.
/// </summary>
/// <remarks>
/// No reflection: each key names its format where it is read. An empty value counts as none given, in every source:
/// JSON's <c>null</c>, <c>MEGAPHONE_HUB__SECRET=</c> and <c>--Hub:Secret=</c> all take back what an earlier source
/// said.
/// </remarks>
internal sealed class SettingsReader(IConfigurationRoot configuration, List<Problem> problems)
{
    private readonly List<string> _keys = [];
    private readonly HashSet<string> _known = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _sections = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _secrets = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _refused = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _malformed = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The keys read so far, in the order of reading.</summary>
    public IReadOnlyList<string> Keys => _keys;

    /// <summary>The value of a key, or the fallback when none is given or it is wrong.</summary>
    public T Read<T>(string key, ValueFormat<T> format, T fallback)
    {
        _keys.Add(key);
        _known.Add(key);
        if (format.IsSecret) _secrets.Add(key);
        for (int colon = key.IndexOf(':'); colon >= 0; colon = key.IndexOf(':', colon + 1))
            _sections.Add(key[..colon]);

        string? text = configuration[key];
        if (string.IsNullOrEmpty(text)) return fallback;

        string? wrong = format.Read(text, out T value);
        if (wrong is null) return value;

        _malformed.Add(key);
        Refuse(key, wrong, format.Example);
        return fallback;
    }

    /// <summary>Whether what was read for a key is what the operator meant: what is given is well formed, and nothing is missing.</summary>
    public bool IsMeant(string key) => IsGiven(key) ? !_malformed.Contains(key) : !_refused.Contains(key);

    /// <summary>Whether there is a problem with a key already.</summary>
    public bool IsRefused(string key) => _refused.Contains(key);

    /// <summary>Whether a source gives the key a value.</summary>
    public bool IsGiven(string key) => !string.IsNullOrEmpty(configuration[key]);

    /// <summary>The names below a section that are set in any source.</summary>
    public IEnumerable<string> Below(string section)
    {
        _sections.Add(section);
        return configuration.GetSection(section).GetChildren().Select(child => child.Key);
    }

    /// <summary>
    /// Whether a section stands in the configuration. The last source that says anything about it decides: one that
    /// sets a key in it, or <c>{}</c>, says yes; <c>null</c> or an empty value in its place says no.
    /// </summary>
    /// <returns>Null when no source says anything.</returns>
    public bool? Has(string section)
    {
        _sections.Add(section);
        foreach (IConfigurationProvider source in configuration.Providers.Reverse())
        {
            if (source.GetChildKeys([], section).Any()) return true;
            if (source.TryGet(section, out string? text)) return !string.IsNullOrEmpty(text);
        }

        return null;
    }

    /// <summary>Adds a problem with a key, unless there is one with that key already.</summary>
    /// <param name="key">The key.</param>
    /// <param name="wrong">What is wrong, as the end of a sentence that begins with the key.</param>
    /// <param name="example">A right value.</param>
    public void Refuse(string key, string wrong, string example)
    {
        if (!_refused.Add(key)) return;

        string? shown = _secrets.Contains(key) || !IsGiven(key) ? null : configuration[key];
        problems.Add(new Problem(key, shown, wrong, $"for example {example}"));
    }

    /// <summary>Adds a problem with a key of earlier versions, if it is set.</summary>
    /// <param name="key">The key.</param>
    /// <param name="instead">What holds in its place, as a sentence of its own.</param>
    public void RefuseGone(string key, string instead)
    {
        _known.Add(key);
        if (IsGiven(key)) problems.Add(new Problem(key, configuration[key], "is a key that exists no more", $"take it out: {instead}"));
    }

    /// <summary>Adds a problem for every key that is set and that nobody has read. To be called last.</summary>
    public void RefuseUnknown()
    {
        var set = configuration.AsEnumerable().OrderBy(pair => pair.Key, StringComparer.OrdinalIgnoreCase);
        foreach ((string key, string? text) in set)
        {
            if (text is null || _known.Contains(key)) continue;

            if (!_sections.Contains(key))
            {
                string? nearest = NearestKey.To(key, _keys);
                string advice = nearest is null ? "`megaphone --help` lists them" : $"the nearest is {nearest}";
                problems.Add(new Problem(key, Showable(key, text), "is not a key that exists", advice));
            }
            else if (text is not (JsonSettingsFile.Nothing or JsonSettingsFile.EmptyObject))
            {
                Refuse(
                    key,
                    "is a section and takes no value of its own",
                    _keys.Find(known => known.StartsWith(key + ":", StringComparison.OrdinalIgnoreCase))!);
            }
        }
    }

    /// <summary>A misspelt secret is still a secret.</summary>
    private static string? Showable(string key, string text) =>
        key.Contains("secr", StringComparison.OrdinalIgnoreCase)
        || key.Contains("pass", StringComparison.OrdinalIgnoreCase)
            ? null
            : text;
}
