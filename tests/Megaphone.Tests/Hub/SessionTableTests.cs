using System.Diagnostics;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Handover;
using Megaphone.Hub;
using Megaphone.Reactor;
using Megaphone.Tests.Handover;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>Section 2 of the link protocol: an ended id does not open a session again.</summary>
public class SessionTableTests
{
    private const int Remembered = 5;

    private enum Step
    {
        Add,
        Connect,
        End,
        Remove,
        Refuse,
    }

    [Fact]
    public void What_is_handed_over_is_the_same_table()
    {
        SessionTable table = new(Remembered);
        for (ulong id = 1; id <= 1000; id++)
        {
            table.Add(id);
            table.SetConnection(id, new ConnectionId((uint)id, 0, 1));
        }

        foreach (ulong id in (ulong[])[3, 1, 500]) Assert.True(table.End(id));
        table.Refuse(2000);
        SessionTable copy = HandedOver.Copy(table.Save, reader => SessionTable.Restore(reader, Remembered, areActiveNow: false));
        Assert.Equal(997, copy.OpenCount);
        Assert.Equal(table.Open().OrderBy(session => session.Id), copy.Open().OrderBy(session => session.Id));
        Assert.Equal(SessionTable.State.Ended, copy.Find(500, out _));

        // The oldest of the ended is still the oldest.
        foreach (ulong id in (ulong[])[4, 5]) Assert.True(copy.End(id));
        Assert.Equal((SessionTable.State.Unknown, SessionTable.State.Ended), (copy.Find(3, out _), copy.Find(1, out _)));
        byte[] twice = HandedOver.Body(writer =>
        {
            writer.Write(2);
            for (int i = 0; i < 2; i++)
            {
                writer.Write(7UL);
                writer.Write(new ConnectionId(1));
                writer.Write(0u);
            }

            writer.Write(0);
        });
        Assert.Throws<StateException>(() => HandedOver.Read(twice, reader => SessionTable.Restore(reader, Remembered, areActiveNow: false)));
    }

    /// <summary>The other side chooses the ids; if they collided, this would take a second instead of milliseconds.</summary>
    [Fact]
    public void Chosen_ids_take_no_longer_than_random_ones()
    {
        const int sessions = 20_000;
        ulong[] usual = [.. Enumerable.Range(1, sessions).Select(x => (1UL << 32) | (uint)x)];
        ulong[] chosen = [.. Enumerable.Range(1, sessions).Select(x => ((ulong)x << 32) | (uint)x)];
        TimeSpan Fastest(ulong[] ids) => Enumerable.Range(0, 5).Min(_ => Lives(ids));
        Lives(usual);

        Assert.InRange(Fastest(chosen) / Fastest(usual), 0, 20);

        static TimeSpan Lives(ulong[] ids)
        {
            SessionTable table = new(maxEndedIds: sessions);
            long began = Stopwatch.GetTimestamp();
            foreach (ulong id in ids)
            {
                table.Find(id, out _);
                table.Add(id);
            }

            foreach (ulong id in ids) table.End(id);
            foreach (ulong id in ids) table.Find(id, out _);
            return Stopwatch.GetElapsedTime(began);
        }
    }

    /// <summary>Far more ids than one shard holds at first, so that shards grow, and entries move into the gaps that others leave.</summary>
    [Fact]
    public void Very_many_sessions_can_be_added_found_and_ended()
    {
        const int sessions = 100_000;
        SessionTable table = new(maxEndedIds: sessions / 10);
        Random random = new(1);
        ulong[] ids = [.. Enumerable.Range(1, sessions).Select(x => (ulong)x << random.Next(40))];
        ids = [.. ids.Distinct()];
        foreach (ulong id in ids) table.Add(id);
        foreach (ulong id in ids) table.SetConnection(id, new ConnectionId(id));
        random.Shuffle(ids);
        foreach (ulong id in ids[..(ids.Length / 2)]) Assert.True(table.End(id));
        foreach (ulong id in ids[(ids.Length / 2)..])
        {
            Assert.Equal(SessionTable.State.Open, table.Find(id, out ConnectionId connection));
            Assert.Equal(new ConnectionId(id), connection);
        }

        Assert.Equal(ids[(ids.Length / 2)..].Order(), table.Open().Select(session => session.Id).Order());
        Assert.Equal(sessions / 10, ids.Count(id => table.Find(id, out _) == SessionTable.State.Ended));
    }

    [Fact]
    public async Task Only_sessions_without_activity_are_idle()
    {
        SessionTable table = new(Remembered);
        table.Add(1);
        table.Add(2);
        Assert.Empty(table.Open(TimeSpan.FromSeconds(10)));

        // On a busy machine a session may have become idle by the time that it is looked at.
        IEnumerable<ulong> idle;
        long touched;
        do
        {
            await Task.Delay(100);
            touched = Environment.TickCount64;
            table.Touch(2);
            idle = [.. table.Open(TimeSpan.FromMilliseconds(80)).Select(session => session.Id)];
        }
        while (Environment.TickCount64 - touched > 50);

        Assert.Equal([1UL], idle);
        Assert.Equal(2, table.Open().Count());
        Assert.Empty(table.Open(TimeSpan.FromDays(365)));
    }

    [Fact]
    public async Task A_session_that_is_active_while_idle_ones_are_looked_for_is_not_idle()
    {
        SessionTable table = new(Remembered);
        table.Add(1);
        using CancellationTokenSource end = new(TimeSpan.FromMilliseconds(300));
        Task active = Task.Factory.StartNew(
            () =>
            {
                while (!end.IsCancellationRequested) table.Touch(1);
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        while (!end.IsCancellationRequested) Assert.Empty(table.Open(TimeSpan.FromHours(1)));
        await active;
    }

    private static readonly Gen<(Step Step, ulong Id)> Steps =
        Gen.Elements(Step.Add, Step.Add, Step.Connect, Step.End, Step.End, Step.Remove, Step.Refuse)
            .SelectMany(_ => Gen.Choose(1, 12), (step, id) => (step, (ulong)id));

    [Fact]
    public void It_behaves_like_a_dictionary_and_a_queue_of_ended_ids() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(1_000),
        Prop.ForAll(Arb.From(Steps.ArrayOf()), steps =>
        {
            SessionTable table = new(Remembered);
            Dictionary<ulong, ConnectionId> open = [];
            List<ulong> ended = [];
            ulong connections = 0;
            foreach ((Step step, ulong id) in steps)
            {
                switch (step)
                {
                    case Step.Add when !open.ContainsKey(id) && !ended.Contains(id):
                        table.Add(id);
                        open[id] = default;
                        break;
                    case Step.Connect:
                        if (open.ContainsKey(id)) open[id] = new ConnectionId(++connections);
                        table.SetConnection(id, new ConnectionId(connections));
                        break;
                    case Step.End:
                        bool was = open.Remove(id);
                        Assert.Equal(was, table.End(id));
                        if (was) Remember(id);
                        break;
                    case Step.Remove:
                        open.Remove(id);
                        table.Remove(id);
                        break;
                    case Step.Refuse when !open.ContainsKey(id):
                        table.Refuse(id);
                        Remember(id);
                        break;
                }

                for (ulong any = 1; any <= 12; any++)
                {
                    SessionTable.State expected = open.ContainsKey(any) ? SessionTable.State.Open
                        : ended.Contains(any) ? SessionTable.State.Ended : SessionTable.State.Unknown;
                    Assert.Equal(expected, table.Find(any, out ConnectionId connection));
                    Assert.Equal(open.GetValueOrDefault(any), connection);
                }

                Assert.Equal(open.Count, table.OpenCount);
                Assert.Equal(
                    open.Select(session => (session.Key, session.Value)).OrderBy(session => session.Key),
                    table.Open().OrderBy(session => session.Id));
            }

            void Remember(ulong id)
            {
                if (ended.Contains(id)) return;
                ended.Add(id);
                if (ended.Count > Remembered) ended.RemoveAt(0);
            }
        }));
}
