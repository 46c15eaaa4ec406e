namespace Megaphone.Configuration;

/// <summary>One entry of the table of keys: all that the help, the manual and the search for a misspelt key need of it.</summary>
internal abstract class SettingKey(string path, string meaning)
{
    private readonly string[] _parts = path.Split(':');

    /// <summary>
    /// The key. <c>N</c> and <c>M</c> in it stand for positions in lists, from 0 on, and <c>CATEGORY</c> for whatever is written there.
    /// </summary>
    public string Path { get; } = path;

    /// <summary>What it means, in one sentence without its full stop; words that are code stand between backticks.</summary>
    public string Meaning { get; } = meaning;

    /// <summary>What holds when the key is not given, as an operator would write it.</summary>
    public abstract string Default { get; }

    /// <summary>What values look like, in a few words.</summary>
    public abstract string Form { get; }

    /// <summary>A right value.</summary>
    public abstract string Example { get; }

    /// <summary>Whether values must never be printed.</summary>
    public abstract bool IsSecret { get; }

    /// <summary>Whether there is one key of this kind, not one for each item of a list.</summary>
    public bool IsOne => !_parts.Any(IsPlaceholder);

    /// <summary>Whether a key that was given is this one.</summary>
    public bool Matches(string given) => given.Split(':') is var parts && parts.Length == _parts.Length && BeginsWith(parts);

    /// <summary>Whether a key that was given is a section that this one stands in.</summary>
    public bool IsIn(string given) => given.Split(':') is var parts && parts.Length < _parts.Length && BeginsWith(parts);

    /// <summary>The list, or the section, that it stands in.</summary>
    public string Parent => Path[..Path.LastIndexOf(':')];

    /// <summary>Whether a key that was given is a list of values with this key.</summary>
    public bool IsItemIn(string given) => given.Split(':').Length == _parts.Length - 1 && IsPlaceholder(_parts[^1]) && IsIn(given);

    /// <summary>Whether this is the key of an item, where <paramref name="list"/> takes a list of values or one value.</summary>
    public bool IsItemOf(SettingKey list) => Path == $"{list.Path}:N";

    /// <summary>This key with positions and names like those of a key that was given, as far as it has some.</summary>
    public string Like(string given)
    {
        string[] parts = given.Split(':');
        return string.Join(':', _parts.Select((part, i) =>
            !IsPlaceholder(part) ? part
            : i < parts.Length && Fits(part, parts[i]) ? parts[i]
            : part == "CATEGORY" ? "Default" : "0"));
    }

    private bool BeginsWith(string[] parts)
    {
        for (int i = 0; i < parts.Length; i++)
            if (!Fits(_parts[i], parts[i]))
                return false;
        return true;
    }

    private static bool Fits(string part, string given) => part switch
    {
        "N" or "M" => given.Length > 0 && given.All(char.IsAsciiDigit),
        "CATEGORY" => true,
        _ => part.Equals(given, StringComparison.OrdinalIgnoreCase),
    };

    private static bool IsPlaceholder(string part) => part is "N" or "M" or "CATEGORY";

    /// <summary>The path with its first placeholder filled in.</summary>
    protected string PathAt(string item)
    {
        int placeholder = Array.FindIndex(_parts, IsPlaceholder);
        return string.Join(':', _parts.Select((part, i) => i == placeholder ? item : part));
    }
}
