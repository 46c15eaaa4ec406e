using System.Diagnostics;
using Megaphone.Sockets;
using Xunit;

namespace Megaphone.Tests.Sockets;

/// <summary>Only who gets very much rests, and only while that brings larger batches.</summary>
public class BatchRestTests
{
    private long _now = 1_000_000 * (Stopwatch.Frequency / 1_000_000);
    private BatchRest _rest;

    [Theory]
    [InlineData(4_000, false)]
    [InlineData(20_000, false)]
    [InlineData(26_000, false)]
    [InlineData(28_000, true)]
    [InlineData(100_000, true)]
    public void It_rests_when_a_rest_brings_a_handful(int perSecond, bool rests)
    {
        for (int i = 0; i < 1000; i++) Serve(events: 1, after: 1e6 / perSecond);
        Assert.Equal(rests, Serve(events: 1, after: 1e6 / perSecond));
    }

    [Fact]
    public void The_rate_is_what_comes_not_how_often_it_looks()
    {
        // With the rests that it takes, 50,000 events a second are nine or ten each time.
        for (int i = 0; i < 1000; i++) Serve(events: i % 2 == 0 ? 9 : 10, after: 190);
        Assert.True(Serve(events: 10, after: 190));
    }

    [Theory]
    [InlineData(63, true)]
    [InlineData(64, false)]
    [InlineData(256, false)]
    [InlineData(0, false)]
    public void Full_batches_need_no_rest_and_nothing_is_no_batch(int events, bool rests)
    {
        for (int i = 0; i < 1000; i++) Serve(events: 10, after: 100);
        Assert.Equal(rests, Serve(events, after: 100));
    }

    [Fact]
    public void A_few_that_come_together_after_a_silence_are_served_at_once()
    {
        for (int i = 0; i < 1000; i++) Serve(events: 10, after: 100);
        Assert.False(Serve(events: 1, after: 1_000_000));
        for (int i = 0; i < 16; i++) Assert.False(Serve(events: 1, after: 5));
    }

    [Fact]
    public void The_first_batch_is_followed_by_no_rest() => Assert.False(Serve(events: 10, after: 0));

    private bool Serve(int events, double after)
    {
        _now += (long)(after * Stopwatch.Frequency / 1e6);
        return _rest.IsDueAfter(events, _now);
    }
}
