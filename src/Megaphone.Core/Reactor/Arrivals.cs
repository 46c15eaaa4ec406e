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
    /// <summary>The attempt of a connection whose time has been stopped, or has begun anew.</summary>
    private const byte Renewed = 1;

    private readonly Lock _lock = new();
    private readonly DeadlineQueue? _deadlines =
        within == TimeSpan.Zero ? null : new DeadlineQueue(within, capacity, (id, attempt) => IsAwaited(table, id, attempt));

    /// <summary>Gives a connection the time that it has.</summary>
    public void Add(ConnectionId id) => Add(id, attempt: 0);

    /// <summary>Gives a connection the same time anew. Once: what it has had before does not count any more.</summary>
    public void Renew(ConnectionId id)
    {
        if (!table.TryEnter(id)) return;
        Stop(ref table.Slot(id.Slot));
        table.Slot(id.Slot).Exit();
        Add(id, Renewed);
    }

    /// <summary>The time of a connection ends no more, until it is given anew. Its gate is held.</summary>
    public static void Stop(ref ConnectionSlot slot) => slot.Attempt = Renewed;

    /// <summary>Gives all connections their time that have not been admitted, and are not held.</summary>
    public void AddAll()
    {
        for (int index = 0; index < table.Used; index++)
        {
            ref ConnectionSlot slot = ref table.Slot(index);
            ConnectionId id = table.IdAt(index);
            if (IsAwaited(table, id, slot.Attempt) && !slot.Is(ConnectionFlags.Held)) Add(id, slot.Attempt);
        }
    }

    /// <summary>Takes a connection that has not been admitted in time.</summary>
    public bool TryTakeLate(long now, out ConnectionId id)
    {
        id = default;
        if (_deadlines is null) return false;
        lock (_lock)
        {
            while (_deadlines.TryTakeDue(now, out id, out byte attempt))
            {
                if (IsAwaited(table, id, attempt)) return true;
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

    private void Add(ConnectionId id, byte attempt)
    {
        if (_deadlines is null) return;
        bool isFirst;
        lock (_lock)
        {
            isFirst = _deadlines.Count == 0;
            _deadlines.Arm(id, Environment.TickCount64, attempt);
        }

        if (isFirst) mailbox.Post(Mailbox.Requests.None);
    }

    private static bool IsAwaited(ConnectionTable<TState> table, ConnectionId id, byte attempt) =>
        table.IsOpen(id) && table.Slot(id.Slot) is var slot && slot.Attempt == attempt && !slot.Is(ConnectionFlags.Admitted);
}
