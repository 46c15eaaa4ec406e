using System.Collections;
using Megaphone.Handover;

namespace Megaphone.Reactor;

/// <summary>Connections for which the handler had no room, in the order in which they came; linked through their slots.</summary>
/// <remarks>
/// Not thread-safe: it belongs to one reactor. A connection is in it once at most (<see cref="ConnectionFlags.InStalledQueue"/>), and
/// its slot is not freed meanwhile.
/// </remarks>
internal sealed class StalledQueue<TState>(ConnectionTable<TState> table)
    where TState : unmanaged
{
    private int _first;
    private int _last;

    /// <summary>Connections in the queue.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a connection that is not in the queue.</summary>
    public void Enqueue(ConnectionId id)
    {
        if (Count++ == 0) _first = id.Slot;
        else table.Slot(_last).Next = id.Slot;
        _last = id.Slot;
    }

    /// <summary>Writes where it begins; the rest is in the slots.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(Count);
        writer.Write(_first);
    }

    /// <summary>Reads where it begins, and follows it through the slots, which have been read.</summary>
    /// <exception cref="StateException">Not every connection that is to be in it is, or one is that is not to be.</exception>
    public void Restore(StateReader reader)
    {
        int count = reader.ReadNumber(0, table.Used, "the number of the stalled");
        int first = reader.Read<int>();
        BitArray met = new(table.Used);
        for (int index = first; Count < count; index = table.Slot(index).Next)
        {
            reader.Check(index >= 0 && index < table.Used && !met[index], "the queue of the stalled");
            reader.Check(table.Slot(index).Is(ConnectionFlags.InStalledQueue), "one that is not stalled in the queue of the stalled");
            met[index] = true;
            (_last, Count) = (index, Count + 1);
        }

        _first = first;
        int stalled = 0;
        for (int index = 0; index < table.Used; index++)
        {
            if (table.Slot(index).Is(ConnectionFlags.InStalledQueue)) stalled++;
        }

        reader.Check(stalled == count, "one that is stalled is not in the queue of the stalled");
    }

    /// <summary>Takes the connection that came first; the queue must not be empty.</summary>
    public ConnectionId Dequeue()
    {
        ConnectionId id = table.IdAt(_first);
        _first = table.Slot(_first).Next;
        Count--;
        return id;
    }
}
