using System.Diagnostics;
using System.Numerics;

namespace Megaphone.Bench;

/// <summary>Counts latencies in buckets whose width is at most 1/64 of the latencies in them. Thread-safe.</summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 6;

    private readonly long[] _buckets = new long[64 << SubBits];
    private long _count;
    private long _max;

    /// <summary>How many latencies were counted.</summary>
    public long Count => Volatile.Read(ref _count);

    /// <summary>The longest, in microseconds.</summary>
    public double Max => Microseconds((ulong)Volatile.Read(ref _max));

    /// <summary>Counts a latency, in ticks of <see cref="Stopwatch"/>.</summary>
    public void Add(long ticks)
    {
        ulong value = (ulong)Math.Max(0, ticks);
        int shift = Math.Max(0, 63 - BitOperations.LeadingZeroCount(value | 1) - SubBits);
        Interlocked.Increment(ref _buckets[(shift << SubBits) + (int)(value >> shift)]);
        Interlocked.Increment(ref _count);
        for (long max = _max; (long)value > max;)
        {
            long found = Interlocked.CompareExchange(ref _max, (long)value, max);
            if (found == max) break;
            max = found;
        }
    }

    /// <summary>The buckets that are not empty, and the longest latency: all that another process of this machine needs to merge them.</summary>
    public (IEnumerable<(int Bucket, long Count)> Buckets, long MaxTicks) Parts =>
        (_buckets.Select((count, bucket) => (bucket, count)).Where(bucket => bucket.count > 0), Volatile.Read(ref _max));

    /// <summary>Merges what another histogram has counted. For one thread at a time.</summary>
    public void Add(IEnumerable<(int Bucket, long Count)> buckets, long maxTicks)
    {
        foreach ((int bucket, long count) in buckets)
        {
            _buckets[bucket] += count;
            _count += count;
        }

        _max = Math.Max(_max, maxTicks);
    }

    /// <summary>The latency in microseconds that a fraction of all did not exceed: the middle of its bucket.</summary>
    public double Percentile(double fraction)
    {
        long left = (long)Math.Ceiling(fraction * Count);
        for (int i = 0; i < _buckets.Length; i++)
        {
            left -= _buckets[i];
            if (left > 0 || _buckets[i] == 0) continue;

            // Values below 128 are their own index; above, the index holds the shift, and the seven bits that remain.
            int shift = Math.Max(0, (i >> SubBits) - 1);
            ulong low = (ulong)(i - (shift << SubBits)) << shift;
            return Math.Min(Max, Microseconds(low + ((1UL << shift) >> 1)));
        }

        return Max;
    }

    private static double Microseconds(ulong ticks) => ticks * 1e6 / Stopwatch.Frequency;
}
