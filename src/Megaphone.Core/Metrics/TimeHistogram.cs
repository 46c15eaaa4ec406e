using System.Runtime.CompilerServices;

namespace Megaphone.Metrics;

/// <summary>How long something took: how often no longer than each of the bounds, and all together. Plain data; adding is thread-safe.</summary>
internal struct TimeHistogram
{
    private PerBound _counts;
    private long _milliseconds;

    /// <summary>The bounds, in seconds. What takes longer than the last is counted behind it.</summary>
    public static IReadOnlyList<double> Bounds { get; } = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

    /// <summary>All times together, in seconds.</summary>
    public double Sum => Volatile.Read(ref _milliseconds) / 1000d;

    /// <summary>How often it took longer than the bound before this one, and no longer than this one.</summary>
    /// <param name="bound">The number of the bound; as many as there are for what took longer than all.</param>
    public long Count(int bound) => Volatile.Read(ref _counts[bound]);

    /// <summary>Counts a time.</summary>
    public void Add(TimeSpan time)
    {
        int bound = 0;
        while (bound < Bounds.Count && time.TotalSeconds > Bounds[bound]) bound++;
        Interlocked.Increment(ref _counts[bound]);
        Interlocked.Add(ref _milliseconds, (long)time.TotalMilliseconds);
    }

    /// <summary>One more than there are <see cref="Bounds"/>.</summary>
    [InlineArray(14)]
    private struct PerBound
    {
        private long _first;
    }
}
