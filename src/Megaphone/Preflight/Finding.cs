namespace Megaphone.Preflight;

/// <summary>One result of <c>megaphone check</c>.</summary>
/// <param name="Verdict">How serious it is.</param>
/// <param name="Topic">What was checked, in a word or two, or a key.</param>
/// <param name="What">What was found, with the numbers.</param>
/// <param name="Fix">The command or the line that fixes it; null when nothing is needed.</param>
internal sealed record Finding(Verdict Verdict, string Topic, string What, string? Fix = null);
