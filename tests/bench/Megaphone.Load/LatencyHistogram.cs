using System.Diagnostics;
using System.Numerics;

namespace Megaphone.Load;

/// <summary>Counts latencies in buckets that are at most 1/64 wide, relative to what they hold.</summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 6;

    private readonly long[] _buckets = new long[64 << SubBits];

    /// <summary>How many were counted.</summary>
    public long Count { get; private set; }

    /// <summary>The longest, in microseconds.</summary>
    public double Max { get; private set; }

    /// <summary>Counts one, in ticks of <see cref="Stopwatch"/>.</summary>
    public void Add(long ticks)
    {
        ulong value = (ulong)Math.Max(0, ticks);
        int shift = Math.Max(0, 63 - BitOperations.LeadingZeroCount(value | 1) - SubBits);
        _buckets[(shift << SubBits) + (int)(value >> shift)]++;
        Count++;
        Max = Math.Max(Max, Microseconds(value));
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
