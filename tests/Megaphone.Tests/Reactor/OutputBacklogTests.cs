using FsCheck;
using FsCheck.Fluent;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>What waits for a slow socket, against a queue of bytes.</summary>
public class OutputBacklogTests
{
    /// <summary>Above zero: so many bytes come; below: at most so many go.</summary>
    private static readonly Gen<int> Steps = Gen.OneOf(
        Gen.Choose(0, 100), Gen.Choose(1, 9_000), Gen.Choose(-100, -1), Gen.Choose(-20_000, -1));

    [Fact]
    public void It_is_a_queue_of_bytes() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500).WithEndSize(200),
        Prop.ForAll(Arb.From(Steps.ArrayOf()), steps =>
        {
            OutputBacklog backlog = new();
            List<byte> model = [];
            byte next = 0;
            foreach (int step in steps)
            {
                if (step >= 0)
                {
                    byte[] bytes = new byte[step];
                    for (int i = 0; i < step; i++) bytes[i] = next++;
                    int memory = backlog.CapacityFor(step);
                    backlog.Append(bytes);
                    Assert.Equal(memory, backlog.Capacity);
                    model.AddRange(bytes);
                }
                else
                {
                    int count = Math.Min(-step, model.Count);
                    backlog.Advance(count);
                    model.RemoveRange(0, count);
                }

                Assert.Equal(model.Count, backlog.Count);
                Assert.True(backlog.Waiting.SequenceEqual(model.ToArray()));
            }

            backlog.Release();
            Assert.Equal((0, 0), (backlog.Count, backlog.Capacity));
            backlog.Append([1]);
            Assert.Equal(1, backlog.Waiting[0]);
            backlog.Release();
        }));
}
