using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Only who gets very much rests, and only while that brings larger batches.</summary>
public class BatchRestTests
{
    private double _now = 1_000_000;
    private BatchRest _rest;

    [Theory]
    [InlineData(4_000, false)]
    [InlineData(20_000, false)]
    [InlineData(25_000, false)]
    [InlineData(27_000, true)]
    [InlineData(100_000, true)]
    public void It_rests_when_a_rest_brings_a_good_number(int perSecond, bool rests)
    {
        for (int i = 0; i < 10_000; i++) Serve(events: 1, after: 1000.0 / perSecond);
        Assert.Equal(rests, Serve(events: 1, after: 1000.0 / perSecond));
    }

    [Fact]
    public void The_rate_is_what_comes_not_how_often_it_looks()
    {
        // With the rests that it takes, 50,000 events a second are 27 or 28 each time.
        for (int i = 0; i < 1000; i++) Serve(events: i % 2 == 0 ? 27 : 28, after: 0.55);
        Assert.True(Serve(events: 28, after: 0.55));
    }

    [Theory]
    [InlineData(127, true)]
    [InlineData(128, false)]
    [InlineData(256, false)]
    [InlineData(0, false)]
    public void Full_batches_need_no_rest_and_nothing_is_no_batch(int events, bool rests)
    {
        for (int i = 0; i < 1000; i++) Serve(events: 10, after: 0.1);
        Assert.Equal(rests, Serve(events, after: 0.1));
    }

    [Fact]
    public void A_few_that_come_together_after_a_silence_are_served_at_once()
    {
        for (int i = 0; i < 1000; i++) Serve(events: 10, after: 0.1);
        Assert.False(Serve(events: 1, after: 1000));
        for (int i = 0; i < 16; i++) Assert.False(Serve(events: 1, after: 0.005));
    }

    [Fact]
    public void The_first_batch_is_followed_by_no_rest() => Assert.False(Serve(events: 10, after: 0));

    private bool Serve(int events, double after)
    {
        _now += after;
        return _rest.IsDueAfter(events, (long)_now);
    }
}
