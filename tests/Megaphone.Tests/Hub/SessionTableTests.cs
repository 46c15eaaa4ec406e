using System.Diagnostics;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Hub;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>Section 2 of the link protocol: an id that is over does not open a session again.</summary>
public class SessionTableTests
{
    private const int Remembered = 5;

    private enum Step
    {
        Add,
        End,
        Forget,
        Refuse,
    }

    /// <summary>The other side chooses the ids, and a table in which they collide takes a second for what takes milliseconds.</summary>
    [Fact]
    public void Time_does_not_depend_on_who_chose_the_ids()
    {
        const int sessions = 20_000;
        ulong[] usual = [.. Enumerable.Range(1, sessions).Select(x => (1UL << 32) | (uint)x)];
        ulong[] chosen = [.. Enumerable.Range(1, sessions).Select(x => ((ulong)x << 32) | (uint)x)];
        TimeSpan Fastest(ulong[] ids) => Enumerable.Range(0, 5).Min(_ => Lives(ids));
        Lives(usual);

        Assert.InRange(Fastest(chosen) / Fastest(usual), 0, 20);

        static TimeSpan Lives(ulong[] ids)
        {
            SessionTable table = new(remembered: sessions);
            long began = Stopwatch.GetTimestamp();
            foreach (ulong id in ids)
            {
                table.Find(id, out _);
                table.Add(new HubSession(null!, id));
            }

            foreach (ulong id in ids) table.End(id);
            foreach (ulong id in ids) table.Find(id, out _);
            return Stopwatch.GetElapsedTime(began);
        }
    }

    private static readonly Gen<(Step Step, ulong Id)> Steps =
        Gen.Elements(Step.Add, Step.Add, Step.End, Step.End, Step.Forget, Step.Refuse)
            .SelectMany(_ => Gen.Choose(1, 12), (step, id) => (step, (ulong)id));

    [Fact]
    public void It_does_what_a_dictionary_and_a_list_of_ended_ids_do() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(1_000),
        Prop.ForAll(Arb.From(Steps.ArrayOf()), steps =>
        {
            SessionTable table = new(Remembered);
            Dictionary<ulong, HubSession> open = [];
            List<ulong> ended = [];
            foreach ((Step step, ulong id) in steps)
            {
                switch (step)
                {
                    case Step.Add when !open.ContainsKey(id) && !ended.Contains(id):
                        open[id] = new HubSession(null!, id);
                        table.Add(open[id]);
                        break;
                    case Step.End:
                        bool was = open.Remove(id);
                        Assert.Equal(was, table.End(id));
                        if (was) Remember(id);
                        break;
                    case Step.Forget:
                        open.Remove(id);
                        table.Forget(id);
                        break;
                    case Step.Refuse when !open.ContainsKey(id):
                        table.Refuse(id);
                        Remember(id);
                        break;
                }

                for (ulong any = 1; any <= 12; any++)
                {
                    Assert.Same(open.GetValueOrDefault(any), table.Find(any, out bool wasEnded));
                    Assert.Equal(!open.ContainsKey(any) && ended.Contains(any), wasEnded);
                }

                Assert.Equal(open.Values.ToHashSet(), [.. table.Open()]);
            }

            void Remember(ulong id)
            {
                if (ended.Contains(id)) return;
                ended.Add(id);
                if (ended.Count > Remembered) ended.RemoveAt(0);
            }
        }));
}
