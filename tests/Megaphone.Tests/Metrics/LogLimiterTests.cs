using Megaphone.Metrics;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Megaphone.Tests.Metrics;

/// <summary>Repeated lines are logged a few times in an interval, and summed up at its end.</summary>
public sealed class LogLimiterTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new();
    private readonly List<long> _sums = [];
    private readonly LogLimiter _limiter;

    public LogLimiterTests() => _limiter = new LogLimiter(3, Interval, _sums.Add, _time);

    public void Dispose() => _limiter.Dispose();

    [Fact]
    public void The_first_are_logged_and_the_rest_is_summed_up_when_the_interval_is_over()
    {
        Assert.Equal(3, Logged(1_000));
        _time.Advance(Interval - TimeSpan.FromTicks(1));
        Assert.Equal(0, Logged(1));
        Assert.Empty(_sums);

        // The sum is logged even though no further line comes.
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal([998], _sums);
        _time.Advance(10 * Interval);
        Assert.Equal([998], _sums);
    }

    [Fact]
    public void A_flood_that_goes_on_is_logged_a_few_times_in_each_interval()
    {
        for (int i = 1; i <= 5; i++)
        {
            Assert.Equal(3, Logged(100));
            _time.Advance(Interval);
            Assert.Equal(i, _sums.Count);
        }

        Assert.All(_sums, sum => Assert.Equal(97, sum));
    }

    [Fact]
    public void Rare_lines_are_always_logged()
    {
        for (int i = 0; i < 50; i++)
        {
            Assert.Equal(3, Logged(3));
            _time.Advance(Interval);
        }

        Assert.Empty(_sums);
    }

    [Fact]
    public void Disposing_logs_the_sum_and_disposing_again_the_sum_since_then()
    {
        Logged(5);
        _limiter.Dispose();
        Assert.Equal([2], _sums);
        Logged(7);
        _limiter.Dispose();
        Assert.Equal([2, 4], _sums);
    }

    private int Logged(int lines) => Enumerable.Range(0, lines).Count(_ => _limiter.TryPass());
}
