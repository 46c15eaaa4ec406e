using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>The connections of a reactor that are not established yet: one address after the other, each with a time of its own.</summary>
/// <remarks>Everything that has a slot among its parameters is called with its gate held.</remarks>
internal sealed class OutgoingConnects<TState>(
    ConnectionTable<TState> table, IConnectHandler<TState> handler, EpollInterest interest, ReactorOptions options, int capacity) : IDisposable
    where TState : unmanaged
{
    private readonly DeadlineQueue _deadlines = new(options.ConnectTimeout, capacity, (id, attempt) => IsPending(table, id, attempt));

    /// <summary>Begins to connect to the first address. Any thread.</summary>
    public void Begin(ConnectionId id, ref ConnectionSlot slot, in NativeAddress to)
    {
        slot.Set(ConnectionFlags.Connecting);

        // Refused at once, as loopback does it: the reactor tries the next address, or tells the handler.
        if (Connect(id, ref slot, to) is { } failure) Fail(ref slot, failure);
    }

    /// <summary>Sets the deadline of the first address, if that has not been done.</summary>
    public void Arm(ConnectionId id, ref ConnectionSlot slot)
    {
        if (slot.Is(ConnectionFlags.ConnectArmed)) return;
        slot.Set(ConnectionFlags.ConnectArmed);
        _deadlines.Arm(id, Environment.TickCount64, slot.Attempt);
    }

    /// <summary>epoll has reported the connection: it is established, or its address has failed.</summary>
    /// <returns>Whether it is established.</returns>
    public static bool TryFinish(ref ConnectionSlot slot)
    {
        int errno = Libc.TakeSocketError(slot.Descriptor);
        if (errno == 0) slot.Clear(ConnectionFlags.Connecting);
        else Fail(ref slot, SocketErrors.ReasonForConnect(errno));
        return errno == 0;
    }

    /// <summary>After an address has failed: begins with the next that the handler knows.</summary>
    /// <returns>False when there is none, and the connection is to be closed.</returns>
    public bool TryNext(ConnectionId id, ref ConnectionSlot slot)
    {
        slot.Clear(ConnectionFlags.ConnectFailed);
        if (slot.Descriptor >= 0) _ = Libc.Close(slot.Descriptor);
        slot.Descriptor = -1;
        while (handler.TryNextAddress(ref table.State(id.Slot), out NativeAddress next))
        {
            if (Connect(id, ref slot, next) is not null) continue;
            _deadlines.Arm(id, Environment.TickCount64, ++slot.Attempt);
            return true;
        }

        return false;
    }

    /// <summary>Tells the handler that a connection is established.</summary>
    public void ReportConnected(ConnectionId id) => handler.OnConnected(id, ref table.State(id.Slot));

    /// <summary>Takes one connection of which an address has had its time, and makes that fail. Takes the gate itself.</summary>
    public bool TryTakeOverdue(long now, out ConnectionId overdue)
    {
        while (_deadlines.TryTakeDue(now, out overdue, out byte attempt))
        {
            if (!table.TryEnter(overdue)) continue;
            ref ConnectionSlot slot = ref table.Slot(overdue.Slot);
            bool isPending = IsPending(table, overdue, attempt);
            if (isPending) Fail(ref slot, CloseReason.BackendTimeout);
            slot.Exit();
            if (isPending) return true;
        }

        _deadlines.Sift(table.Count);
        return false;
    }

    /// <summary>Milliseconds until the first deadline; <see cref="int.MaxValue"/> when there is none.</summary>
    public int UntilNext(long now) => _deadlines.UntilNext(now);

    /// <inheritdoc cref="DeadlineQueue.Save"/>
    public void Save(StateWriter writer) => _deadlines.Save(writer);

    /// <inheritdoc cref="DeadlineQueue.Restore"/>
    public void Restore(StateReader reader) => _deadlines.Restore(reader);

    /// <inheritdoc/>
    public void Dispose() => _deadlines.Dispose();

    /// <summary>Begins to connect to one address.</summary>
    /// <returns>Null when that is under way, else why it cannot be.</returns>
    private CloseReason? Connect(ConnectionId id, ref ConnectionSlot slot, in NativeAddress to)
    {
        slot.Descriptor = NativeSocket.Connect(to, options.Liveness, out int errno);
        if (slot.Descriptor < 0) return SocketErrors.ReasonForConnect(errno);
        if (interest.TryWatchConnect(id, ref slot)) return null;
        _ = Libc.Close(slot.Descriptor);
        slot.Descriptor = -1;
        return CloseReason.OutOfResources;
    }

    /// <summary>Whether the deadline of this attempt still matters.</summary>
    private static bool IsPending(ConnectionTable<TState> table, ConnectionId id, byte attempt)
    {
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        return table.IsOpen(id) && slot.Is(ConnectionFlags.Connecting) && slot.Attempt == attempt;
    }

    private static void Fail(ref ConnectionSlot slot, CloseReason reason)
    {
        slot.Set(ConnectionFlags.ConnectFailed);

        // A reason for closing it that was given before stays, whatever becomes of its addresses.
        if (!slot.IsAny(ConnectionFlags.Aborting | ConnectionFlags.CloseWhenFlushed)) slot.Reason = reason;
    }
}
