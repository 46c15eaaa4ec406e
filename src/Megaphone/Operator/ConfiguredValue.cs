namespace Megaphone.Operator;

/// <summary>What is configured for one key.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value as it is written; of a secret that there is one.</param>
/// <param name="Origin">The file, variable or argument that it is from, or <see cref="Default"/>.</param>
internal sealed record ConfiguredValue(string Key, string Value, string Origin)
{
    /// <summary>The origin of what nobody has configured.</summary>
    public const string Default = "default";
}
