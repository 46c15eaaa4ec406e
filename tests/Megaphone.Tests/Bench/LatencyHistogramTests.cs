using System.Diagnostics;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public class LatencyHistogramTests
{
    private static readonly double TickMicroseconds = 1e6 / Stopwatch.Frequency;

    [Fact]
    public void An_empty_histogram_has_no_latency()
    {
        LatencyHistogram empty = new();
        Assert.Equal((0, 0.0, 0.0), (empty.Count, empty.Max, empty.Percentile(0.5)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(1_000_003)]
    [InlineData(987_654_321_987)]
    public void A_single_latency_is_every_percentile_of_itself(long ticks)
    {
        LatencyHistogram histogram = new();
        histogram.Add(ticks);

        Assert.Equal(ticks * TickMicroseconds, histogram.Max, tolerance: 1e-6 * ticks);
        Assert.InRange(histogram.Percentile(0.5), ticks * TickMicroseconds * (1 - 1.0 / 64), ticks * TickMicroseconds);
    }

    [Fact]
    public void Percentiles_are_within_a_64th_of_the_truth()
    {
        const int Count = 100_000;
        LatencyHistogram histogram = new();
        for (int i = 1; i <= Count; i++) histogram.Add(i * 10L);

        foreach (double fraction in new[] { 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1 })
        {
            double truth = fraction * Count * 10 * TickMicroseconds;
            Assert.InRange(histogram.Percentile(fraction), truth * (1 - 1.0 / 64), truth * (1 + 1.0 / 64));
        }
    }

    [Fact]
    public void Threads_may_count_at_the_same_time()
    {
        LatencyHistogram histogram = new();
        Parallel.For(0, 4, thread => { for (int i = 0; i < 10_000; i++) histogram.Add(thread * 10_000 + i); });

        Assert.Equal(40_000, histogram.Count);
        Assert.Equal(39_999 * TickMicroseconds, histogram.Max, tolerance: 1e-3);
    }

    [Fact]
    public void A_negative_latency_counts_as_zero()
    {
        LatencyHistogram histogram = new();
        histogram.Add(-5);
        Assert.Equal((1, 0.0), (histogram.Count, histogram.Percentile(1)));
    }
}
