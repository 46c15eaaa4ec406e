namespace Megaphone.Bench;

/// <summary>What the watched processes used at one moment.</summary>
/// <param name="Phase">The phase that had just ended; empty in between.</param>
/// <param name="Seconds">Seconds since the watch began.</param>
/// <param name="Clients">Connections, or logged-in users, at that moment.</param>
/// <param name="Uses">The processes, in the watch's order; null for one that is gone.</param>
internal sealed record WatchSample(string Phase, double Seconds, long Clients, ProcessUsage?[] Uses);
