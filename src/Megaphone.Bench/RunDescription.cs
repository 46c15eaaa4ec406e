namespace Megaphone.Bench;

/// <summary>What was run, for those who read the results later.</summary>
/// <param name="Began">When it began, in UTC.</param>
/// <param name="Options">The options with their values, without secrets.</param>
internal sealed record RunDescription(DateTime Began, IReadOnlyDictionary<string, string> Options)
{
    /// <summary>Where the load went.</summary>
    public string Target => Options.GetValueOrDefault("to", "");
}
