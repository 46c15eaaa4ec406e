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

    /// <summary>Takes the connection that came first; the queue must not be empty.</summary>
    public ConnectionId Dequeue()
    {
        ConnectionId id = table.IdAt(_first);
        _first = table.Slot(_first).Next;
        Count--;
        return id;
    }
}
