namespace Megaphone.Reactor;

/// <summary>By when connections that were accepted must have been admitted. Adding is thread-safe, the rest is for the reactor's thread.</summary>
/// <param name="within">The time that they have; zero: any.</param>
/// <param name="table">The connections.</param>
/// <param name="capacity">How many there may be.</param>
/// <param name="mailbox">Wakes the reactor, which may wait without a deadline.</param>
/// <exception cref="IOException">There is no address space for the deadlines.</exception>
internal sealed class Arrivals<TState>(TimeSpan within, ConnectionTable<TState> table, int capacity, Mailbox mailbox) : IDisposable
    where TState : unmanaged
{
    private readonly Lock _lock = new();
    private readonly DeadlineQueue? _deadlines =
        within == TimeSpan.Zero ? null : new DeadlineQueue(within, capacity, (id, _) => IsAwaited(table, id));

    /// <summary>Gives a connection the time that it has.</summary>
    public void Add(ConnectionId id)
    {
        if (_deadlines is null) return;
        bool isFirst;
        lock (_lock)
        {
            isFirst = _deadlines.Count == 0;
            _deadlines.Arm(id, Environment.TickCount64);
        }

        if (isFirst) mailbox.Post(Mailbox.Requests.None);
    }

    /// <summary>The same for all connections that have not been admitted.</summary>
    public void AddAll()
    {
        for (int index = 0; index < table.Used; index++)
        {
            if (IsAwaited(table, table.IdAt(index))) Add(table.IdAt(index));
        }
    }

    /// <summary>Takes a connection that has not been admitted in time.</summary>
    public bool TryTakeLate(long now, out ConnectionId id)
    {
        id = default;
        if (_deadlines is null) return false;
        lock (_lock)
        {
            while (_deadlines.TryTakeDue(now, out id, out _))
            {
                if (IsAwaited(table, id)) return true;
            }

            _deadlines.Sift(table.Count);
        }

        return false;
    }

    /// <summary>Milliseconds until the first deadline; <see cref="int.MaxValue"/> when there is none.</summary>
    public int UntilNext(long now)
    {
        if (_deadlines is null) return int.MaxValue;
        lock (_lock) return _deadlines.UntilNext(now);
    }

    /// <inheritdoc/>
    public void Dispose() => _deadlines?.Dispose();

    private static bool IsAwaited(ConnectionTable<TState> table, ConnectionId id) =>
        table.IsOpen(id) && !table.Slot(id.Slot).Is(ConnectionFlags.Admitted);
}
