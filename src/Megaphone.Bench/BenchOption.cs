namespace Megaphone.Bench;

/// <summary>One option of a mode: what the help says about it, and its default.</summary>
/// <param name="Name">Its name, without the two dashes.</param>
/// <param name="Form">The form of its value, in capital letters or as a choice.</param>
/// <param name="Default">The value when it is not given, as one would write it; null: none.</param>
/// <param name="Meaning">What it means, in one line.</param>
/// <param name="Required">Whether it must be given.</param>
internal sealed record BenchOption(string Name, string Form, string? Default, string Meaning, bool Required = false);
