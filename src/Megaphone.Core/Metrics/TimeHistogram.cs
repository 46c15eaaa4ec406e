using System.Runtime.CompilerServices;

namespace Megaphone.Metrics;

/// <summary>How long something took: how often no longer than each of some bounds, and all together. Plain data; adding is thread-safe.</summary>
internal struct TimeHistogram
{
    private PerBound _counts;
    private long _microseconds;

    /// <summary>Bounds for what people wait for, in seconds. What takes longer than the last is counted behind it.</summary>
    public static IReadOnlyList<double> LongBounds { get; } = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

    /// <summary>The same for what networks and processors take: as many.</summary>
    public static IReadOnlyList<double> ShortBounds { get; } = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

    /// <summary>All times together, in seconds.</summary>
    public double Sum => Volatile.Read(ref _microseconds) / 1_000_000d;

    /// <summary>How often it took longer than the bound before this one, and no longer than this one.</summary>
    /// <param name="bound">The number of the bound; as many as there are for what took longer than all.</param>
    public long Count(int bound) => Volatile.Read(ref _counts[bound]);

    /// <summary>Counts a time.</summary>
    /// <param name="time">The time.</param>
    /// <param name="bounds">The same each time.</param>
    public void Add(TimeSpan time, IReadOnlyList<double> bounds)
    {
        int bound = 0;
        while (bound < bounds.Count && time.TotalSeconds > bounds[bound]) bound++;
        Interlocked.Increment(ref _counts[bound]);
        Interlocked.Add(ref _microseconds, (long)time.TotalMicroseconds);
    }

    /// <summary>One more than there are bounds.</summary>
    [InlineArray(14)]
    private struct PerBound
    {
        private long _first;
    }
}
