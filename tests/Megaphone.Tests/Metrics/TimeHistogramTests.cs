using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Metrics;

public class TimeHistogramTests
{
    [Fact]
    public void A_time_counts_at_the_first_bound_that_it_does_not_exceed()
    {
        TimeHistogram times = default;
        foreach (double seconds in new[] { 0, 0.1, 0.1001, 3, 600, 601, 100_000 }) times.Add(TimeSpan.FromSeconds(seconds), TimeHistogram.LongBounds);

        Assert.Equal(2, times.Count(0));
        Assert.Equal(1, times.Count(1));
        Assert.Equal(1, times.Count(TimeHistogram.LongBounds.ToList().IndexOf(5)));
        Assert.Equal(1, times.Count(TimeHistogram.LongBounds.Count - 1));
        Assert.Equal(2, times.Count(TimeHistogram.LongBounds.Count));
        Assert.Equal(101_204.2001, times.Sum, 0.00001);
    }

    [Fact]
    public void There_are_as_many_short_bounds_as_long_ones() => Assert.Equal(TimeHistogram.LongBounds.Count, TimeHistogram.ShortBounds.Count);
}
