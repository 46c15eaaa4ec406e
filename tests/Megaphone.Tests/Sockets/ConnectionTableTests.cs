using System.Collections.Concurrent;
using Megaphone.Sockets;
using Megaphone.Tests.Links;
using Xunit;

namespace Megaphone.Tests.Sockets;

/// <summary>Slots are taken and freed; an id that is over is never found again.</summary>
public class ConnectionTableTests
{
    [Fact]
    public void It_gives_as_many_as_it_has_and_no_more()
    {
        using ConnectionTable<int> table = new(3, 1500);
        HashSet<ConnectionId> ids = [];
        while (table.TryTake(out ConnectionId id) is null)
        {
            table.Slot(id.Slot).Exit();
            Assert.True(ids.Add(id));
            Assert.Equal(3, id.Reactor);
            Assert.NotEqual(0u, id.Generation);
        }

        Assert.Equal((1500, 1500, 1500), (ids.Count, table.Count, table.Used));
    }

    [Fact]
    public void An_id_is_not_found_once_its_slot_serves_another()
    {
        using ConnectionTable<int> table = new(0, 1);
        ConnectionId before = Take(table);
        Assert.True(table.TryEnter(before));
        Close(table, before);
        Assert.False(table.TryEnter(before));

        ConnectionId after = Take(table);
        Assert.Equal((before.Slot, before.Generation + 1), (after.Slot, after.Generation));
        Assert.False(table.TryEnter(before));
        Assert.True(table.TryEnter(after));
        table.Slot(after.Slot).Exit();
    }

    [Fact]
    public void The_generation_passes_over_0()
    {
        using ConnectionTable<int> table = new(0, 1);
        ConnectionId id = Take(table);
        table.Slot(0).Generation = uint.MaxValue;
        table.Free(0);
        Assert.Equal(1u, Take(table).Generation);
        Assert.Equal(1u, id.Generation);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(1UL)]
    [InlineData(0x0000_0001_00_000001UL)]
    [InlineData(0x0000_0002_00_000000UL)]
    [InlineData(ulong.MaxValue)]
    public void What_was_never_there_is_not_found(ulong value)
    {
        using ConnectionTable<int> table = new(0, 10);
        Take(table);
        Assert.False(table.TryEnter(new ConnectionId(value)));
    }

    [Fact]
    public void A_backlog_belongs_to_its_slot()
    {
        using ConnectionTable<int> table = new(0, 3000);
        for (int i = 0; i < 3000; i++) Take(table);
        OutputBacklog backlog = new();
        table.SetBacklog(2500, backlog);
        Assert.Null(table.Backlog(0));
        Assert.Null(table.Backlog(2499));
        Assert.Same(backlog, table.Backlog(2500));
        table.SetBacklog(2500, null);
        Assert.Null(table.Backlog(2500));
    }

    [Fact]
    public async Task Threads_that_take_and_free_never_hold_the_same_slot()
    {
        const int threads = 4;
        const int rounds = 20_000;
        using ConnectionTable<int> table = new(0, 64);
        ConcurrentDictionary<int, int> held = new();
        ConcurrentQueue<string> problems = new();
        await Patience.WithinAsync(
            Task.WhenAll(Enumerable.Range(0, threads).Select(thread => Task.Run(() =>
            {
                Queue<ConnectionId> own = new();
                for (int round = 0; round < rounds; round++)
                {
                    if (own.Count < 16 && table.TryTake(out ConnectionId id) is null)
                    {
                        if (!held.TryAdd(id.Slot, thread)) problems.Enqueue($"slot {id.Slot} was given out twice");
                        table.Slot(id.Slot).Exit();
                        own.Enqueue(id);
                    }
                    else
                    {
                        ConnectionId done = own.Dequeue();
                        if (!table.TryEnter(done)) problems.Enqueue($"{done} was not found");
                        held.TryRemove(done.Slot, out _);
                        Close(table, done);
                        if (table.TryEnter(done)) problems.Enqueue($"{done} was found after its end");
                    }
                }

                while (own.TryDequeue(out ConnectionId id))
                {
                    held.TryRemove(id.Slot, out _);
                    table.TryEnter(id);
                    Close(table, id);
                }
            }))),
            "the threads");
        Assert.Empty(problems);
        Assert.Equal(0, table.Count);
    }

    private static ConnectionId Take(ConnectionTable<int> table)
    {
        Assert.Null(table.TryTake(out ConnectionId id));
        table.Slot(id.Slot).Exit();
        return id;
    }

    /// <summary>The gate is held, as when a reactor closes a connection.</summary>
    private static void Close(ConnectionTable<int> table, ConnectionId id)
    {
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        slot.Set(ConnectionFlags.Closed);
        slot.Exit();
        table.Free(id.Slot);
    }
}
