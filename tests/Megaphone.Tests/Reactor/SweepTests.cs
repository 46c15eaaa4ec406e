using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>A sweep looks at each slot once, closes no more than its rate allows, and lets others have their turn.</summary>
public class SweepTests
{
    [Fact]
    public void It_does_nothing_before_it_begins()
    {
        Sweep sweep = new(1000);
        Assert.False(sweep.TryBeginTurn(5000));
        Assert.Equal((false, int.MaxValue), (sweep.IsRunning, sweep.UntilNextTurn));
    }

    [Theory]
    [InlineData(200, 100)]
    [InlineData(1000, 1000)]
    [InlineData(50_000, 100_000)]
    [InlineData(3, 5)]
    public void It_closes_at_its_rate(int perSecond, int connections)
    {
        Sweep sweep = new(perSecond);
        long began = 1_000_000, now = began;
        sweep.Begin(now);
        int closed = 0;
        while (sweep.IsRunning)
        {
            if (sweep.TryBeginTurn(now))
            {
                while (sweep.TryNext(connections, out int index))
                {
                    Assert.Equal(closed++, index);
                    sweep.CountClosed();
                }

                // Two turns' worth may come at once, and at least one connection.
                Assert.InRange(closed, 0, Math.Max(1, perSecond * 0.04) + (perSecond * (now - began) / 1000.0));
            }

            now += Math.Min(sweep.UntilNextTurn, 20);
        }

        Assert.Equal(connections, closed);
        Assert.InRange(now - began, 0, (1000L * connections / perSecond) + 1000);
    }

    [Fact]
    public void Without_a_rate_it_goes_on_at_once_and_closes_256_in_a_turn()
    {
        Sweep sweep = new(double.PositiveInfinity);
        sweep.Begin(0);
        Assert.Equal(0, sweep.UntilNextTurn);
        Assert.Equal([256, 256, 88], [CloseInTurn(sweep, 600), CloseInTurn(sweep, 600), CloseInTurn(sweep, 600)]);
        Assert.False(sweep.IsRunning);
    }

    [Fact]
    public void Slots_that_are_left_alone_cost_no_quota_but_end_a_turn_too()
    {
        const int slots = 40_000;
        Sweep sweep = new(50);
        sweep.Begin(1000);
        List<int> inTurn = [];
        for (long now = 1000; sweep.IsRunning; now += 20)
        {
            Assert.True(sweep.TryBeginTurn(now));
            int looked = 0;
            while (sweep.TryNext(slots, out _)) looked++;
            inTurn.Add(looked);
        }

        Assert.Equal([16_384, 16_384, slots - (2 * 16_384)], inTurn);
    }

    [Fact]
    public void Begun_again_it_starts_from_the_first_slot()
    {
        Sweep sweep = new(double.PositiveInfinity);
        sweep.Begin(0);
        CloseInTurn(sweep, 600);
        sweep.Begin(0);
        Assert.True(sweep.TryBeginTurn(0));
        Assert.True(sweep.TryNext(600, out int index));
        Assert.Equal(0, index);
    }

    [Fact]
    public void A_table_that_shrinks_meanwhile_ends_it()
    {
        Sweep sweep = new(double.PositiveInfinity);
        sweep.Begin(0);
        CloseInTurn(sweep, 600);
        Assert.Equal(0, CloseInTurn(sweep, 100));
        Assert.False(sweep.IsRunning);
    }

    private static int CloseInTurn(Sweep sweep, int slots)
    {
        int closed = 0;
        if (!sweep.TryBeginTurn(0)) return 0;
        for (; sweep.TryNext(slots, out _); closed++) sweep.CountClosed();
        return closed;
    }
}
