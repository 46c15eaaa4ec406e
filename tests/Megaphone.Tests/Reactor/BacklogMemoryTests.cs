using FsCheck;
using FsCheck.Fluent;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>The bound for all buffers is about their memory, so a backlog says how much it would allocate before it does.</summary>
public class BacklogMemoryTests
{
    [Fact]
    public void A_backlog_says_beforehand_how_much_it_will_allocate() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500),
        Prop.ForAll(Arb.From(Gen.Choose(-3_000, 5_000).ArrayOf()), steps =>
        {
            OutputBacklog backlog = new();
            foreach (int step in steps)
            {
                if (step <= 0)
                {
                    backlog.Advance(Math.Min(-step, backlog.Count));
                    continue;
                }

                int expected = backlog.CapacityFor(step);
                backlog.Append(new byte[step]);
                Assert.Equal(expected, backlog.Capacity);
            }

            backlog.Release();
            Assert.Equal(0, backlog.Capacity);
        }));

    [Fact]
    public void A_backlog_allocates_no_more_than_twice_what_is_appended_at_once()
    {
        for (int bytes = 1_024; bytes < 3_000_000; bytes = bytes * 3 / 2)
        {
            OutputBacklog backlog = new();
            backlog.Append(new byte[bytes]);
            Assert.InRange(backlog.Capacity, bytes, 2 * bytes);
            backlog.Release();
        }
    }
}
