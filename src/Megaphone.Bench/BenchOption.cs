namespace Megaphone.Bench;

/// <summary>One option of a mode: what the help says about it, and its default.</summary>
/// <param name="Name">Its name, without the two dashes.</param>
/// <param name="Form">The form of its value, in capital letters or as a choice.</param>
/// <param name="Default">The value when it is not given, as one would write it; null: none.</param>
/// <param name="Meaning">What it means, in one line.</param>
/// <param name="Required">Whether it must be given.</param>
internal sealed record BenchOption(string Name, string Form, string? Default, string Meaning, bool Required = false)
{
    /// <summary>The option that every mode with clients has: how many there are.</summary>
    public const string Clients = "clients";

    /// <summary>Finds an option.</summary>
    /// <param name="options">The options of a mode.</param>
    /// <param name="name">Its name; <c>connections</c> and <c>sessions</c>, which <see cref="Clients"/> was once called, mean that one.</param>
    public static BenchOption? Find(IReadOnlyList<BenchOption> options, string name)
    {
        string known = name is "connections" or "sessions" ? Clients : name;
        return options.FirstOrDefault(option => option.Name == known);
    }
}
