namespace Megaphone.Values;

/// <summary>How the values of a setting are written.</summary>
/// <param name="Read">Reads one.</param>
/// <param name="Example">A right one.</param>
/// <param name="IsSecret">Whether values must never be printed.</param>
internal sealed record ValueFormat<T>(ValueReader<T> Read, string Example, bool IsSecret = false);
