namespace Megaphone.Bench;

/// <summary>The latencies of one kind.</summary>
/// <param name="Key">Its name in JSON.</param>
/// <param name="Title">Its name in the table.</param>
/// <param name="Latencies">What was measured.</param>
internal sealed record BenchLatency(string Key, string Title, LatencyHistogram Latencies);
