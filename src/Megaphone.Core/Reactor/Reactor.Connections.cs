using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <content>What happens to one connection.</content>
internal sealed unsafe partial class Reactor<TState>
{
    /// <summary>With any of these nothing more is taken to be sent.</summary>
    private const ConnectionFlags TakesNoMore =
        ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded | ConnectionFlags.Aborting | ConnectionFlags.CloseWhenFlushed;

    /// <summary>Serves a client that was accepted, unless the handler refuses it. Any thread.</summary>
    /// <param name="descriptor">The socket, which is the reactor's from here on.</param>
    /// <param name="peer">The client's address.</param>
    /// <param name="listener">Where it was accepted.</param>
    /// <param name="session">Its TLS, with the handshake done, which is the reactor's from here on; or none.</param>
    /// <param name="tls">What the handshake agreed on; null without TLS.</param>
    /// <returns>Null when it is served; else why it was refused and closed.</returns>
    public RefusalReason? Accept(int descriptor, in NativeAddress peer, int listener, TlsSession session, TlsFacts? tls)
    {
        if (_table.TryTake(out ConnectionId id) is { } full)
        {
            CloseUnused(descriptor, session);
            return full;
        }

        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        slot.Descriptor = descriptor;
        RefusalReason? refusal = _accepted!.OnAccepted(id, ref _table.State(id.Slot), peer, descriptor, listener, tls, out int owner);
        if (refusal is not null)
        {
            CloseUnused(descriptor, session);
            slot.Descriptor = -1;
            slot.Set(ConnectionFlags.Closed);
            slot.Exit();
            _table.Free(id.Slot);
            return refusal;
        }

        slot.Owner = owner;
        if (tls is not null) Secure(id, ref slot, session);
        return Begin(id, ref slot);
    }

    /// <summary>Serves a connection that somebody else has opened. Any thread.</summary>
    /// <param name="descriptor">The socket, connected and non-blocking, which is the reactor's from here on.</param>
    /// <param name="owner">Whose it is.</param>
    /// <param name="state">What the handler keeps for it.</param>
    /// <param name="id">Its id; set before the handler is first called for it.</param>
    /// <returns>Null when it is served; else why not, and it is closed.</returns>
    public RefusalReason? Add(int descriptor, int owner, TState state, out ConnectionId id)
    {
        if (_table.TryTake(out id) is { } full)
        {
            _ = Libc.Close(descriptor);
            return full;
        }

        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        slot.Descriptor = descriptor;
        slot.Owner = owner;
        _table.State(id.Slot) = state;
        return Begin(id, ref slot);
    }

    /// <summary>Begins to watch a connected descriptor. The gate is held, and is given back.</summary>
    private RefusalReason? Begin(ConnectionId id, ref ConnectionSlot slot)
    {
        slot.Set(ConnectionFlags.WatchesIn);
        bool watched = _epoll.Add(slot.Descriptor, InterestIn(ref slot), id.Value) == 0;
        if (!watched) Fail(ref slot, CloseReason.OutOfResources);
        slot.Exit();
        if (!watched) Attend(id);
        return watched ? null : RefusalReason.Memory;
    }

    /// <summary>Begins a connection; what is sent to it waits until it stands. Any thread.</summary>
    /// <returns>False when there is no place for it.</returns>
    public bool TryConnect(in NativeAddress to, int owner, TState state, out ConnectionId id)
    {
        if (_table.TryTake(out id) is not null) return false;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        _table.State(id.Slot) = state;
        slot.Owner = owner;
        slot.Flags = ConnectionFlags.Connecting;

        // Refused at once, as loopback does it: the reactor tries the next address, or tells the handler.
        if (BeginConnect(id, ref slot, to) is { } failure) FailConnect(ref slot, failure);
        slot.Exit();
        Attend(id);
        return true;
    }

    /// <summary>Sends bytes, or keeps what the kernel does not take. Any thread; bytes are copied if need be.</summary>
    /// <returns>False when the connection is gone, has another owner, or its direction has been ended.</returns>
    public bool Send(ConnectionId id, int owner, ReadOnlySpan<byte> bytes)
    {
        if (!_table.TryEnter(id)) return false;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        bool sendable, attend;
        try
        {
            sendable = slot.Owner == owner && !slot.IsAny(TakesNoMore);
            attend = sendable && (!SendOrKeep(id, ref slot, bytes) || TellSlow(id, ref slot) != Outcome.Done);
        }
        finally
        {
            // Whatever happens, for want of memory say: a gate that stays held would hold up the reactor.
            slot.Exit();
        }

        if (attend) Attend(id);
        return sendable;
    }

    /// <summary>
    /// Sends the last bytes there will be, and ends our direction behind them. Any thread. Nothing happens when the
    /// connection is gone, has another owner, or its direction had been ended before.
    /// </summary>
    /// <param name="id">The connection.</param>
    /// <param name="owner">Whose it must be.</param>
    /// <param name="opening">What must come first if nothing has ever been sent.</param>
    /// <param name="bytes">Copied if need be.</param>
    public void SendLast(ConnectionId id, int owner, ReadOnlySpan<byte> opening, ReadOnlySpan<byte> bytes)
    {
        if (!_table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        try
        {
            if (slot.Owner != owner || slot.IsAny(TakesNoMore)) return;
            if (slot.Is(ConnectionFlags.Sent) || SendOrKeep(id, ref slot, opening)) SendOrKeep(id, ref slot, bytes);
            slot.Set(ConnectionFlags.WriteEnding);
        }
        finally
        {
            slot.Exit();
        }

        Attend(id);
    }

    /// <summary>Ends our direction after what waits. Any thread.</summary>
    /// <returns>False when the connection is gone, has another owner, or its direction had been ended before.</returns>
    public bool EndWrite(ConnectionId id, int owner) =>
        Request(id, owner, ConnectionFlags.WriteEnding, unless: ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded);

    /// <summary>Closes the connection after what waits. Any thread.</summary>
    public void CloseWhenFlushed(ConnectionId id, int owner, CloseReason reason) =>
        Request(id, owner, ConnectionFlags.CloseWhenFlushed, unless: ConnectionFlags.Aborting, reason);

    /// <summary>Aborts the connection in both directions. Any thread.</summary>
    /// <returns>False when it is gone already or has another owner.</returns>
    public bool Abort(ConnectionId id, int owner, CloseReason reason) =>
        Request(id, owner, ConnectionFlags.Aborting, unless: ConnectionFlags.Aborting, reason);

    /// <summary>Stops, or goes on, reading from the connection. Any thread.</summary>
    public void PauseReading(ConnectionId id, int owner, bool pause)
    {
        if (!_table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        if (slot.Owner == owner)
        {
            if (pause) slot.Set(ConnectionFlags.ReadPaused);
            else slot.Clear(ConnectionFlags.ReadPaused);
            Watch(id, ref slot);
        }

        bool unread = !pause && slot.Is(ConnectionFlags.HoldsUnread);
        slot.Exit();
        if (unread) Attend(id);
    }

    private bool Request(ConnectionId id, int owner, ConnectionFlags what, ConnectionFlags unless, CloseReason reason = default)
    {
        if (!_table.TryEnter(id)) return false;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        bool accepted = slot.Owner == owner && !slot.IsAny(unless);
        if (accepted)
        {
            slot.Set(what);
            if (what != ConnectionFlags.WriteEnding) slot.Reason = reason;
        }

        slot.Exit();
        if (accepted) Attend(id);
        return accepted;
    }

    /// <summary>Brings a connection up to date: tells what is untold, ends what is to be ended, closes what is to be closed.</summary>
    private void Look(ConnectionId id)
    {
        if (!_table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        if (slot.Is(ConnectionFlags.Connecting) && !slot.Is(ConnectionFlags.ConnectArmed))
        {
            slot.Set(ConnectionFlags.ConnectArmed);
            _connecting.Arm(id, Environment.TickCount64, slot.Attempt);
        }

        if (slot.Is(ConnectionFlags.Aborting) || (slot.Is(ConnectionFlags.ConnectFailed) && !TryOtherAddress(id, ref slot)))
        {
            Close(id, ref slot, slot.Reason);
            return;
        }

        bool flushed = !slot.IsAny(ConnectionFlags.Connecting | ConnectionFlags.OutputQueued);
        if (flushed && slot.Is(ConnectionFlags.CloseWhenFlushed))
        {
            Close(id, ref slot, slot.Reason);
            return;
        }

        if (flushed && slot.Is(ConnectionFlags.WriteEnding))
        {
            if (!slot.Is(ConnectionFlags.Secured) || TryEndSecured(id, ref slot))
            {
                slot.Clear(ConnectionFlags.WriteEnding);
                slot.Set(ConnectionFlags.WriteEnded);
                _ = Libc.Shutdown(slot.Descriptor, Libc.ShutWrite);
            }
        }

        // Whatever waits for the peer from here on waits so long and no longer.
        if (slot.IsAny(ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded | ConnectionFlags.CloseWhenFlushed) &&
            !slot.Is(ConnectionFlags.HalfOpenArmed))
        {
            ArmHalfOpen(id, ref slot);
        }

        if (TellSlow(id, ref slot) == Outcome.WouldBlock) Stall(id, ref slot);
        slot.Exit();
        if (TellReadEnded(id, ref slot) == Outcome.Closed) CloseFor(id, CloseReason.Ended);
        if (!_table.TryEnter(id)) return;
        if (slot.Is(ConnectionFlags.ReadEnded | ConnectionFlags.WriteEnded) && !slot.Is(ConnectionFlags.EndUntold))
        {
            Close(id, ref slot, CloseReason.Ended);
            return;
        }

        slot.Exit();
        if (slot.Is(ConnectionFlags.HoldsUnread) && MayRead(ref slot)) Receive(id, ref slot);
    }

    private void ArmHalfOpen(ConnectionId id, ref ConnectionSlot slot)
    {
        slot.Set(ConnectionFlags.HalfOpenArmed);
        _halfOpen.Arm(id, Environment.TickCount64);
    }

    /// <summary>Tells the handler that the connection became slow, or is no longer. The gate is held.</summary>
    /// <remarks>
    /// With the gate held the order in which it is told is the order in which it happened, whichever thread tells it; and
    /// the thread that fills the buffer says so itself, before it goes on filling.
    /// </remarks>
    private Outcome TellSlow(ConnectionId id, ref ConnectionSlot slot)
    {
        bool slow = slot.Is(ConnectionFlags.AboveHigh);
        if (slow == slot.Is(ConnectionFlags.ToldSlow)) return Outcome.Done;
        Outcome told = _handler.OnWritePressureChanged(id, slot.Owner, ref _table.State(id.Slot), slow);
        if (told != Outcome.Done) return told;
        if (slow) slot.Set(ConnectionFlags.ToldSlow);
        else slot.Clear(ConnectionFlags.ToldSlow);
        return Outcome.Done;
    }

    private void CloseForError(ConnectionId id, int errno) =>
        CloseFor(id, ReasonFor(errno));

    private void CloseFor(ConnectionId id, CloseReason reason)
    {
        if (_table.TryEnter(id)) Close(id, ref _table.Slot(id.Slot), reason);
    }

    /// <summary>Closes the descriptor and tells the handler. The gate is held, and is given back.</summary>
    private void Close(ConnectionId id, ref ConnectionSlot slot, CloseReason reason)
    {
        slot.Reason = reason;
        slot.Set(ConnectionFlags.Closed);
        if (slot.Is(ConnectionFlags.OutputQueued)) DropBacklog(id, ref slot);
        if (slot.Descriptor >= 0)
        {
            // An orderly end says FIN; anything else tells the peer that what it has may not be all. TLS that broke has sent
            // its alert, which a reset could take away again.
            bool orderly = reason is CloseReason.Ended or CloseReason.LinkLost;
            if (slot.Is(ConnectionFlags.Secured)) CloseSecured(id.Slot, ref slot, orderly);
            if (!orderly && reason != CloseReason.TlsError) Libc.AbortOnClose(slot.Descriptor);
            _ = Libc.Close(slot.Descriptor);
            slot.Descriptor = -1;
        }

        slot.Exit();
        TellClosed(id, ref slot);
    }

    private void TellClosed(ConnectionId id, ref ConnectionSlot slot)
    {
        // Closed: no other thread changes the slot any more, so the gate is not needed.
        ref TState state = ref _table.State(id.Slot);
        if (!slot.Is(ConnectionFlags.CloseTold))
        {
            if (_handler.OnClosed(id, slot.Owner, ref state, slot.Reason) == Outcome.WouldBlock)
            {
                Stall(id, ref slot);
                return;
            }

            slot.Set(ConnectionFlags.CloseTold);
        }

        // If it still stands in the queue of the stalled, it is freed when its turn comes.
        if (slot.Is(ConnectionFlags.InStalledQueue)) return;
        state = default!;
        _table.Free(id.Slot);
    }
}
