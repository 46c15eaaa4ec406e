using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Only a thread that gets very many events delays, and only while that makes larger batches.</summary>
public class EventCoalescingTests
{
    private double _now = 1_000_000;
    private EventCoalescing _coalescing;

    [Theory]
    [InlineData(4_000, false)]
    [InlineData(20_000, false)]
    [InlineData(25_000, false)]
    [InlineData(27_000, true)]
    [InlineData(100_000, true)]
    public void A_delay_begins_at_the_rate_at_which_it_gathers_enough(int perSecond, bool delays)
    {
        for (int i = 0; i < 10_000; i++) Handle(events: 1, after: 1000.0 / perSecond);
        Assert.Equal(delays, Handle(events: 1, after: 1000.0 / perSecond));
    }

    [Fact]
    public void The_rate_is_that_of_events_not_of_batches()
    {
        // With the delays, 50,000 events a second make batches of 27 or 28.
        for (int i = 0; i < 1000; i++) Handle(events: i % 2 == 0 ? 27 : 28, after: 0.55);
        Assert.True(Handle(events: 28, after: 0.55));
    }

    [Theory]
    [InlineData(127, true)]
    [InlineData(128, false)]
    [InlineData(256, false)]
    [InlineData(0, false)]
    public void Full_and_empty_batches_are_followed_by_no_delay(int events, bool delays)
    {
        for (int i = 0; i < 1000; i++) Handle(events: 10, after: 0.1);
        Assert.Equal(delays, Handle(events, after: 0.1));
    }

    [Fact]
    public void A_few_that_come_together_after_a_silence_are_handled_at_once()
    {
        for (int i = 0; i < 1000; i++) Handle(events: 10, after: 0.1);
        Assert.False(Handle(events: 1, after: 1000));
        for (int i = 0; i < 16; i++) Assert.False(Handle(events: 1, after: 0.005));
    }

    [Fact]
    public void The_first_batch_is_followed_by_no_delay() => Assert.False(Handle(events: 10, after: 0));

    private bool Handle(int events, double after)
    {
        _now += after;
        return _coalescing.ShouldDelayAfter(events, (long)_now);
    }
}
