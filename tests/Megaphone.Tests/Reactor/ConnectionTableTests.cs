using System.Collections.Concurrent;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Slots are allocated and freed; the id of a closed connection is never found again.</summary>
public class ConnectionTableTests
{
    [Fact]
    public void It_allocates_as_many_slots_as_it_has_and_no_more()
    {
        using ConnectionTable<int> table = new(3, 1500);
        HashSet<ConnectionId> ids = [];
        while (table.TryAllocate(out ConnectionId id))
        {
            Begin(table, id);
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
    public void The_generation_skips_0()
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
    public void An_id_that_was_never_given_out_is_not_found(ulong value)
    {
        using ConnectionTable<int> table = new(0, 10);
        Take(table);
        Assert.False(table.TryEnter(new ConnectionId(value)));
    }

    [Fact]
    public void A_chunk_that_became_empty_is_as_new_but_no_id_is_given_out_twice()
    {
        using ConnectionTable<int> table = new(0, 5000);
        HashSet<ConnectionId> ids = [];
        foreach (bool upwards in new[] { true, false, true })
        {
            List<ConnectionId> taken = [.. Enumerable.Range(0, 5000).Select(_ => Take(table))];
            Assert.All(taken, id => Assert.True(ids.Add(id), $"{id} came again"));
            foreach (ConnectionId id in taken)
            {
                Assert.True(table.TryEnter(id));
                table.State(id.Slot) = id.Slot;
                table.Slot(id.Slot).Exit();
            }

            foreach (ConnectionId id in upwards ? taken : taken.AsEnumerable().Reverse()) Close(table, id);

            Assert.Equal(0, table.Count);
            Assert.InRange(table.Used, 0, 1024);
            Assert.All(ids, id => Assert.False(table.TryEnter(id)));
            Assert.Equal(0u, table.Slot(3000).Generation);
            Assert.Equal(0, table.State(3000));
        }
    }

    [Fact]
    public void It_tells_which_slots_memory_it_has_given_back()
    {
        List<(int First, int Count)> told = [];
        using ConnectionTable<int> table = new(0, 5000, (first, count) => told.Add((first, count)));
        ConnectionId[] taken = [.. Enumerable.Range(0, 5000).Select(_ => Take(table))];
        Close(table, taken[0]);
        for (int slot = 3071; slot > 2048; slot--) Close(table, taken[slot]);
        Assert.Empty(told);
        Close(table, taken[2048]);
        Assert.Equal([(2048, 1024)], told);
    }

    [Fact]
    public void Slots_come_from_the_lowest_chunk_with_room()
    {
        using ConnectionTable<int> table = new(0, 5000);
        ConnectionId[] taken = [.. Enumerable.Range(0, 5000).Select(_ => Take(table))];
        foreach (int slot in new[] { 4000, 2000, 3000, 10 }) Close(table, taken[slot]);

        Assert.Equal([10, 2000, 3000, 4000], Enumerable.Range(0, 4).Select(_ => Take(table).Slot));
    }

    [Fact]
    public void A_backlog_belongs_to_its_slot()
    {
        using ConnectionTable<int> table = new(0, 3000);
        for (int i = 0; i < 3000; i++) Take(table);
        table.Backlog(2500).Append([7]);
        Assert.Equal((0, 0, 0), (table.Backlog(0).Count, table.Backlog(2499).Count, table.Backlog(2501).Count));
        Assert.Equal([7], table.Backlog(2500).Waiting.ToArray());
        table.Backlog(2500).Release();
        Assert.Equal(0, table.Backlog(2500).Count);
    }

    [Fact]
    public unsafe void An_idle_connection_takes_24_bytes_beside_the_handlers_state() => Assert.Equal(24, sizeof(ConnectionSlot));

    [Theory]
    [InlineData(64, 16)]
    [InlineData(4 * 1024, 1024)] // Chunks become empty and are used again all the time.
    public async Task Threads_that_allocate_and_free_never_hold_the_same_slot(int capacity, int each)
    {
        const int threads = 4;
        const int rounds = 20_000;
        using ConnectionTable<int> table = new(0, capacity);
        ConcurrentDictionary<int, int> held = new();
        ConcurrentQueue<string> problems = new();
        await BoundedWait.WithinAsync(
            Task.WhenAll(Enumerable.Range(0, threads).Select(thread => Task.Run(() =>
            {
                Queue<ConnectionId> own = new();
                bool fill = true;
                for (int round = 0; round < rounds; round++)
                {
                    fill = own.Count == 0 || (fill && own.Count < each);
                    if (fill && table.TryAllocate(out ConnectionId id))
                    {
                        if (!held.TryAdd(id.Slot, thread)) problems.Enqueue($"slot {id.Slot} was given out twice");
                        Begin(table, id);
                        own.Enqueue(id);
                    }
                    else if (own.TryDequeue(out ConnectionId done))
                    {
                        if (!table.TryEnter(done)) problems.Enqueue($"{done} was not found");
                        held.TryRemove(done.Slot, out _);
                        Close(table, done);
                        if (table.TryEnter(done)) problems.Enqueue($"{done} was found after it was closed");
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
        Assert.True(table.TryAllocate(out ConnectionId id));
        Begin(table, id);
        return id;
    }

    /// <summary>The gate is held, as when a reactor begins a connection; a connection that is open has a descriptor.</summary>
    private static void Begin(ConnectionTable<int> table, ConnectionId id)
    {
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        slot.Descriptor = 0;
        slot.Exit();
    }

    /// <summary>The gate is held, as when a reactor closes a connection.</summary>
    private static void Close(ConnectionTable<int> table, ConnectionId id)
    {
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        slot.Set(ConnectionFlags.Closed);
        slot.Descriptor = -1;
        slot.Exit();
        table.Free(id.Slot);
    }
}
