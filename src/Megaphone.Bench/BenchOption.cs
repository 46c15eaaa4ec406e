namespace Megaphone.Bench;

/// <summary>One option of a mode: what the help says of it, and what holds when it is not given.</summary>
/// <param name="Name">Behind the two dashes.</param>
/// <param name="Form">What its value looks like, in capital letters or as a choice.</param>
/// <param name="Default">The value when it is not given, as it would be written; null: there is none.</param>
/// <param name="Meaning">One line.</param>
/// <param name="Required">Whether it must be given.</param>
internal sealed record BenchOption(string Name, string Form, string? Default, string Meaning, bool Required = false);
