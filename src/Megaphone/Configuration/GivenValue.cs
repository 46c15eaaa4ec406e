namespace Megaphone.Configuration;

/// <summary>What one source says about a key.</summary>
internal sealed class GivenValue(string? text, string origin)
{
    /// <summary>The value as it is written; null for JSON's <c>null</c> and <c>{}</c>, empty for its <c>[]</c>.</summary>
    public string? Text { get; } = text;

    /// <summary>The path of the file, the name of the environment variable, or the argument.</summary>
    public string Origin { get; } = origin;
}
