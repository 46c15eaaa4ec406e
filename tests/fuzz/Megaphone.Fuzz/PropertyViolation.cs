namespace Megaphone.Fuzz;

/// <summary>A target's property does not hold for an input: a bug, in what is tested or in the target.</summary>
internal sealed class PropertyViolation(string message) : Exception(message);
