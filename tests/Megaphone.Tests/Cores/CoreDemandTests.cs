using FsCheck;
using FsCheck.Fluent;
using Megaphone.Cores;
using Xunit;

namespace Megaphone.Tests.Cores;

/// <summary>Few cores cost less, but nobody waits for the sake of it.</summary>
public class CoreDemandTests
{
    private const long Look = 250;
    private CoreDemand _demand;
    private long _now = 1_000_000;

    [Theory]
    [InlineData(0, true)]
    [InlineData(0.39, true)]
    [InlineData(0.4, false)]
    [InlineData(3, false)]
    public void Who_does_little_gathers_at_the_first_look(double ran, bool gathers)
    {
        Assert.False(_demand.IsGathered);
        Assert.Equal(gathers, Note(ran, waited: 0));
    }

    [Theory]
    [InlineData(0.6, 0.19, true)]
    [InlineData(0.81, 0, false)]
    [InlineData(0.5, 0.31, false)]
    [InlineData(0.02, 0.9, false)]
    [InlineData(0.1, 0.35, true)]
    [InlineData(0.005, 0.2, false)]
    [InlineData(0.005, 0.04, true)]
    public void Who_is_gathered_stays_so_until_the_core_is_full_or_a_stranger_is_on_it(double ran, double waited, bool stays)
    {
        Note(0.1, 0);
        Assert.Equal(stays, Note(ran, waited));
    }

    [Fact]
    public void What_is_between_little_and_full_changes_nothing()
    {
        for (int i = 0; i < 100; i++) Assert.False(Note(0.6, 0.1));
        Note(0.1, 0);
        for (int i = 0; i < 100; i++) Assert.True(Note(0.6, 0.1));
    }

    [Fact]
    public void Those_who_are_spread_may_wait_for_a_core_as_long_as_they_do_little()
    {
        Assert.True(Note(0.1, waited: 5));
    }

    [Fact]
    public void Who_has_to_spread_soon_stays_spread_for_longer_each_time()
    {
        List<long> pauses = [];
        for (int i = 0; i < 9; i++)
        {
            while (!Note(0.1, 0)) _now += Look;
            Assert.False(Note(0.1, 0.9));
            long spreadAt = _now;
            while (!Note(0.1, 0)) _now += Look;
            pauses.Add(_now - spreadAt);
        }

        Assert.Equal([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000], pauses);
    }

    [Fact]
    public void A_minute_together_is_a_new_beginning()
    {
        for (int i = 0; i < 20; i++)
        {
            while (!Note(0.1, 0)) _now += Look;
            Note(1, 0);
        }

        while (!Note(0.1, 0)) _now += Look;
        _now += CoreDemand.LongestPause;
        Note(1, 0);

        _now += CoreDemand.FirstPause - 1;
        Assert.False(Note(0.1, 0));
        _now++;
        Assert.True(Note(0.1, 0));
    }

    [Fact]
    public void Nobody_is_gathered_more_than_eight_times_in_the_first_minute_whatever_happens() => FsCheck.Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(Arb.From(Gen.Choose(0, 255).Select(number => number / 128.0).ArrayOf()), shares =>
        {
            CoreDemand demand = default;
            int gathered = 0;
            for (int look = 0; look < 60_000 / Look && shares.Length > 0; look++)
            {
                bool before = demand.IsGathered;
                demand.Note(shares[look % shares.Length], shares[(look + 1) % shares.Length], _now + look * Look);
                if (demand.IsGathered && !before) gathered++;
            }

            return gathered <= 8;
        }));

    private bool Note(double ran, double waited)
    {
        _demand.Note(ran, waited, _now);
        return _demand.IsGathered;
    }
}
