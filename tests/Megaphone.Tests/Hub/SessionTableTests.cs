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

                Assert.Equal(open.Values.ToHashSet(), [.. table.Snapshot()]);
            }

            void Remember(ulong id)
            {
                if (ended.Contains(id)) return;
                ended.Add(id);
                if (ended.Count > Remembered) ended.RemoveAt(0);
            }
        }));
}
