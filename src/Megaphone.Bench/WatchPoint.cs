namespace Megaphone.Bench;

/// <summary>How things stood at one moment.</summary>
/// <param name="Phase">What had just happened; empty between phases.</param>
/// <param name="Seconds">Since the watch began.</param>
/// <param name="Clients">Connections or logged-in users at that moment.</param>
/// <param name="Uses">The processes, in the watch's order; null for one that is gone.</param>
internal sealed record WatchPoint(string Phase, double Seconds, long Clients, ProcessUse?[] Uses);
