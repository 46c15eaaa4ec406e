namespace Megaphone.Operator;

/// <summary>The configuration that is in force.</summary>
/// <param name="File">The file that was read; null: none.</param>
/// <param name="Values">Each key that has a value.</param>
/// <param name="Unchanged">A line for each value that a reload could not bring into force.</param>
internal sealed record ConfigurationReport(string? File, IReadOnlyList<ConfiguredValue> Values, IReadOnlyList<string> Unchanged);
