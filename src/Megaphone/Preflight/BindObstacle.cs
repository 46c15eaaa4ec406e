namespace Megaphone.Preflight;

/// <summary>Why an address cannot be listened on.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Fix">What to do about it.</param>
internal sealed record BindObstacle(string Reason, string Fix);
