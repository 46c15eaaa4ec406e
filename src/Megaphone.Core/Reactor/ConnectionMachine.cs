using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>The states of a reactor's connections, and what its thread does to bring each from one to the next.</summary>
/// <remarks>
/// Everything here is for the reactor's thread. It alone reads and closes; what other threads may do is in
/// <see cref="ConnectionRequests{TState}"/>.
/// </remarks>
internal sealed class ConnectionMachine<TState> : IDisposable
    where TState : unmanaged
{
    private readonly ConnectionTable<TState> _table;
    private readonly IConnectionHandler<TState> _handler;
    private readonly OutgoingConnects<TState>? _outgoing;
    private readonly ConnectionInput<TState> _input;
    private readonly ConnectionOutput<TState> _output;
    private readonly EpollInterest _interest;
    private readonly Mailbox _mailbox;
    private readonly DeadlineQueue _halfOpen;
    private readonly StalledQueue<TState> _stalled;

    /// <summary>Makes it for the connections of a table, which may be <paramref name="capacity"/>.</summary>
    /// <exception cref="IOException">There is no address space for the deadlines.</exception>
    public ConnectionMachine(
        ConnectionTable<TState> table, int capacity, IConnectionHandler<TState> handler, OutgoingConnects<TState>? outgoing,
        ConnectionInput<TState> input, ConnectionOutput<TState> output, EpollInterest interest, Mailbox mailbox, TimeSpan halfOpenTimeout)
    {
        (_table, _handler, _outgoing, _input, _output, _interest, _mailbox) = (table, handler, outgoing, input, output, interest, mailbox);
        _halfOpen = new DeadlineQueue(halfOpenTimeout, capacity, (id, _) => table.IsOpen(id));
        _stalled = new StalledQueue<TState>(table);
    }

    /// <summary>Handles what epoll reported of a connection.</summary>
    public void HandleEvents(ConnectionId id, uint events)
    {
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        if (!slot.IsOpen(id)) return;
        if (slot.Is(ConnectionFlags.Connecting))
        {
            FinishConnect(id, ref slot);
            return;
        }

        if ((events & Libc.EpollOut) != 0)
        {
            Flush(id, ref slot);
            if (slot.IsOpen(id) && slot.Is(ConnectionFlags.TlsWantsWrite)) ResumeTls(id, ref slot);
            if (!slot.IsOpen(id)) return;
        }

        const uint hasFailed = Libc.EpollHangUp | Libc.EpollError;
        if (slot.Is(ConnectionFlags.Held) && (events & (Libc.EpollReadHangUp | hasFailed)) != 0)
        {
            // Nobody is there to whom its turn would be of any use.
            Close(id, CloseReason.Ended);
            return;
        }

        if ((events & (Libc.EpollIn | hasFailed)) == 0) return;
        if (slot.MayRead) Read(id, ref slot, isMoreBehind: (events & (EpollInterest.StopsReceive | hasFailed)) != 0);
        else if ((events & Libc.EpollError) != 0) Close(id, SocketErrors.ReasonFor(Libc.TakeSocketError(slot.Descriptor)));
        else if ((events & Libc.EpollHangUp) != 0) HandleHangUp(id, ref slot);
    }

    /// <summary>
    /// Brings a connection up to date: reports what is unreported, ends what is to be ended, closes what is to be closed, and reads what
    /// TLS holds.
    /// </summary>
    public void Reconcile(ConnectionId id)
    {
        if (!_table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        if (slot.Is(ConnectionFlags.Connecting)) _outgoing!.Arm(id, ref slot);
        bool isFlushed = !slot.IsAny(ConnectionFlags.Connecting | ConnectionFlags.OutputQueued);
        if (slot.Is(ConnectionFlags.Aborting)
            || (slot.Is(ConnectionFlags.ConnectFailed) && !_outgoing!.TryNext(id, ref slot))
            || (isFlushed && slot.Is(ConnectionFlags.CloseWhenFlushed)))
        {
            Close(id, ref slot, slot.Reason);
            return;
        }

        if (isFlushed && slot.Is(ConnectionFlags.WriteEnding)) _output.TryEnd(id, ref slot);

        // Whatever waits for the peer from here on waits so long and no longer.
        if (slot.IsAny(ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded | ConnectionFlags.CloseWhenFlushed)) ArmHalfOpen(id, ref slot);
        if (_output.ReportPressure(id, ref slot) == Outcome.WouldBlock) Stall(id, ref slot);
        if (slot.Is(ConnectionFlags.Held))
        {
            // The handler is asked again, and holds it again if need be.
            slot.Clear(ConnectionFlags.Held);
            _interest.Update(id, ref slot);
        }

        slot.Exit();
        if (ReportPeerHalfClosed(id, ref slot) == Outcome.Closed) Close(id, CloseReason.Ended);
        if (!_table.TryEnter(id)) return;
        if (slot.Is(ConnectionFlags.ReadEnded | ConnectionFlags.WriteEnded) && !slot.Is(ConnectionFlags.ReadEndUnreported))
        {
            Close(id, ref slot, CloseReason.Ended);
            return;
        }

        slot.Exit();
        if (slot.Is(ConnectionFlags.TlsHoldsInput) && slot.MayRead) Read(id, ref slot);
    }

    /// <summary>Brings all connections up to date.</summary>
    public void ReconcileAll()
    {
        for (int index = 0; index < _table.Used; index++) Reconcile(_table.IdAt(index));
    }

    /// <summary>Goes once through what the handler had no room for, in the order in which it came.</summary>
    public void RetryStalled()
    {
        for (int left = _stalled.Count; left > 0; left--)
        {
            ConnectionId id = _stalled.Dequeue();
            ref ConnectionSlot slot = ref _table.Slot(id.Slot);
            slot.Enter();
            bool mustRead = slot.Is(ConnectionFlags.ReadStalled) && !slot.Is(ConnectionFlags.TlsHoldsInput);
            slot.Clear(ConnectionFlags.InStalledQueue | ConnectionFlags.ReadStalled);
            slot.Exit();
            if (slot.Is(ConnectionFlags.Closed))
            {
                ReportClosed(id, ref slot);
                continue;
            }

            // Input that is held for TLS is read by this.
            Reconcile(id);
            if (mustRead && slot.IsOpen(id) && slot.MayRead) Read(id, ref slot);
            if (!_table.TryEnter(id)) continue;
            _interest.Update(id, ref slot);
            slot.Exit();
        }
    }

    /// <summary>Closes, or brings to their next address, the connections that have had their time.</summary>
    public void HandleOverdue(long now)
    {
        while (_halfOpen.TryTakeDue(now, out ConnectionId id, out _)) Close(id, CloseReason.HalfOpenTimeout);
        _halfOpen.Sift(_table.Count);
        while (_outgoing is not null && _outgoing.TryTakeOverdue(now, out ConnectionId id)) Reconcile(id);
    }

    /// <summary>Milliseconds until the first deadline; <see cref="int.MaxValue"/> when there is none.</summary>
    public int UntilDeadline(long now) => Math.Min(_halfOpen.UntilNext(now), _outgoing?.UntilNext(now) ?? int.MaxValue);

    /// <summary>Closes the connection in a slot if the handler has a reason; if it may wait, not while the rest of something is to follow.</summary>
    /// <returns>Null: not now.</returns>
    public bool? CloseFor(IAcceptHandler<TState> accepted, int index, CloseOccasion occasion, bool mayWait)
    {
        ConnectionId id = _table.IdAt(index);
        if (!_table.TryEnter(id)) return false;
        ref ConnectionSlot slot = ref _table.Slot(index);
        if (occasion == CloseOccasion.Late && slot.Is(ConnectionFlags.Admitted))
        {
            // It has been admitted since it was found to be late.
            slot.Exit();
            return false;
        }

        bool writesNoMore = slot.IsAny(ConnectionRequests<TState>.WritesNoMore);
        if (mayWait && !writesNoMore && slot.Is(ConnectionFlags.MoreFollows))
        {
            slot.Exit();
            return null;
        }

        bool hasSent = slot.Is(ConnectionFlags.HasSent);
        if (accepted.GetCloseReason(id, slot.Owner, hasSent, occasion, ref _table.State(index), out ReadOnlySpan<byte> last) is not { } reason)
        {
            slot.Exit();
            return false;
        }

        bool waitsForOutput = occasion == CloseOccasion.Drain && slot.Is(ConnectionFlags.OutputQueued);
        if (writesNoMore || (last.IsEmpty && !waitsForOutput))
        {
            Close(id, ref slot, reason);
            return true;
        }

        if (last.IsEmpty)
        {
            slot.Set(ConnectionFlags.CloseWhenFlushed);
            slot.Reason = reason;
        }
        else
        {
            // What the peer still sends is read, so that its end is seen; a handler that has no use for it drops it.
            _output.TrySend(id, ref slot, last);
            slot.Set(ConnectionFlags.WriteEnding);
            slot.Reason = reason;
            slot.Clear(ConnectionFlags.ReadPaused | ConnectionFlags.Held);
            _interest.Update(id, ref slot);
        }

        slot.Exit();
        Reconcile(id);
        return true;
    }

    /// <summary>Who has ended one direction and when that is overdue, and for whom the handler had no room: to be handed over.</summary>
    public (DeadlineQueue HalfOpen, StalledQueue<TState> Stalled) Waiting => (_halfOpen, _stalled);

    /// <summary>Closes what is left, and tells nobody. No other thread may use the connections any more.</summary>
    public void Dispose()
    {
        for (int index = 0; index < _table.Used; index++)
        {
            ref ConnectionSlot slot = ref _table.Slot(index);
            if (slot.Generation == 0 || slot.Descriptor < 0) continue;
            bool isFlushed = !slot.Is(ConnectionFlags.OutputQueued);
            if (!isFlushed) _output.Drop(_table.IdAt(index), ref slot);
            if (slot.Is(ConnectionFlags.Secured)) _output.DropTls(index, ref slot, inOrder: isFlushed && !slot.Is(ConnectionFlags.Aborting));
            _ = Libc.Close(slot.Descriptor);
        }

        _halfOpen.Dispose();
        _input.Dispose();
    }

    /// <summary>Has the handler receive, and does what follows from that.</summary>
    private void Read(ConnectionId id, ref ConnectionSlot slot, bool isMoreBehind = false)
    {
        ConnectionInput<TState>.Result result = _input.Read(id, ref slot, isMoreBehind);
        switch (result.Next)
        {
            case ConnectionInput<TState>.Next.EndRead:
                EndRead(id, ref slot);
                break;
            case ConnectionInput<TState>.Next.Close:
                Close(id, result.Reason);
                break;
            case ConnectionInput<TState>.Next.Stall:
                if (!_table.TryEnter(id)) return;
                slot.Set(ConnectionFlags.ReadStalled);
                Stall(id, ref slot);
                _interest.Update(id, ref slot);
                slot.Exit();
                break;
            case ConnectionInput<TState>.Next.Pause:
                if (!_table.TryEnter(id)) return;
                slot.Set(ConnectionFlags.ReadPaused);
                _interest.Update(id, ref slot);
                slot.Exit();
                break;
            case ConnectionInput<TState>.Next.Hold:
                if (!_table.TryEnter(id)) return;
                Arrivals<TState>.Stop(ref slot);
                slot.Set(ConnectionFlags.Held);
                _interest.Update(id, ref slot);
                slot.Exit();
                break;
            case ConnectionInput<TState>.Next.ReadOn:
                _mailbox.PostUpdate(id);
                break;
        }

        if (result.MustFlush) Flush(id, ref slot);
    }

    /// <summary>The kernel takes more, and OpenSSL has waited for that.</summary>
    private void ResumeTls(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;

        // To read on is what lets OpenSSL go on.
        slot.Clear(ConnectionFlags.TlsWantsWrite);
        slot.Set(ConnectionFlags.TlsHoldsInput);
        _interest.Update(id, ref slot);
        slot.Exit();
        Reconcile(id);
    }

    /// <summary>Sends what waits.</summary>
    private void Flush(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;
        if (_output.Flush(id, ref slot, out bool mustReconcile) is { } failure)
        {
            Close(id, ref slot, failure);
            return;
        }

        slot.Exit();
        if (mustReconcile) Reconcile(id);
    }

    private void FinishConnect(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;
        bool isEstablished = OutgoingConnects<TState>.TryFinish(ref slot);
        slot.Exit();
        if (isEstablished)
        {
            _outgoing!.ReportConnected(id);
            Flush(id, ref slot);
        }

        Reconcile(id);
    }

    /// <summary>Both directions are over, and what the peer sent first may not be read now.</summary>
    private void HandleHangUp(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;
        if (slot.Is(ConnectionFlags.ReadEnded))
        {
            Close(id, ref slot, CloseReason.Ended);
            return;
        }

        // It may be read by now: the thread that said so has had epoll report it once more.
        if (!slot.MayRead) _interest.Unwatch(ref slot);
        slot.Exit();
    }

    private void EndRead(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;
        slot.Set(ConnectionFlags.ReadEnded | ConnectionFlags.ReadEndUnreported);
        ArmHalfOpen(id, ref slot);
        _interest.Update(id, ref slot);
        slot.Exit();
        Reconcile(id);
    }

    /// <summary>Tells the handler that the peer has ended its direction, if it does not know yet.</summary>
    private Outcome ReportPeerHalfClosed(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!slot.Is(ConnectionFlags.ReadEndUnreported)) return Outcome.Done;
        Outcome outcome = _handler.OnPeerHalfClosed(id, slot.Owner, ref _table.State(id.Slot));
        if (!_table.TryEnter(id)) return outcome;
        if (outcome == Outcome.WouldBlock) Stall(id, ref slot);
        else slot.Clear(ConnectionFlags.ReadEndUnreported);
        slot.Exit();
        return outcome;
    }

    private void ArmHalfOpen(ConnectionId id, ref ConnectionSlot slot)
    {
        if (slot.Is(ConnectionFlags.HalfOpenArmed)) return;
        slot.Set(ConnectionFlags.HalfOpenArmed);
        _halfOpen.Arm(id, Environment.TickCount64);
    }

    /// <summary>Has the handler asked again when it has room. One place in the queue serves everything that a connection waits for.</summary>
    private void Stall(ConnectionId id, ref ConnectionSlot slot)
    {
        if (slot.Is(ConnectionFlags.InStalledQueue)) return;
        slot.Set(ConnectionFlags.InStalledQueue);
        _stalled.Enqueue(id);
    }

    private void Close(ConnectionId id, CloseReason reason)
    {
        if (_table.TryEnter(id)) Close(id, ref _table.Slot(id.Slot), reason);
    }

    /// <summary>Closes the descriptor and tells the handler. The gate is held, and is given back.</summary>
    private void Close(ConnectionId id, ref ConnectionSlot slot, CloseReason reason)
    {
        bool hadLastWords = slot.IsAny(ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded) && slot.Reason != default;
        if (slot.Descriptor >= 0) _handler.OnClosing(_table.Describe(id), _table.State(id.Slot), hadLastWords ? slot.Reason : reason);
        slot.Reason = reason;
        slot.Set(ConnectionFlags.Closed);
        bool isFlushed = !slot.Is(ConnectionFlags.OutputQueued);
        if (!isFlushed) _output.Drop(id, ref slot);
        if (slot.Descriptor >= 0)
        {
            // An end in order says FIN; anything else tells the peer that what it has may not be all. TLS that broke has sent
            // its alert, which a reset could take away again, as it could the last that we sent in order.
            bool inOrder = reason is CloseReason.Ended or CloseReason.LinkLost or CloseReason.Drained;
            if (slot.Is(ConnectionFlags.Secured)) _output.DropTls(id.Slot, ref slot, inOrder && isFlushed);
            if (inOrder || reason == CloseReason.TlsError) NativeSocket.DiscardInput(slot.Descriptor);
            else Libc.AbortOnClose(slot.Descriptor);
            _ = Libc.Close(slot.Descriptor);
            slot.Descriptor = -1;
        }

        slot.Exit();
        ReportClosed(id, ref slot);
    }

    /// <summary>Tells the handler that a connection is closed, if it does not know yet, and frees the slot.</summary>
    private void ReportClosed(ConnectionId id, ref ConnectionSlot slot)
    {
        // Closed: no other thread changes the slot any more, so the gate is not needed.
        ref TState state = ref _table.State(id.Slot);
        if (!slot.Is(ConnectionFlags.CloseReported))
        {
            if (_handler.OnClosed(id, slot.Owner, ref state, slot.Reason) == Outcome.WouldBlock)
            {
                Stall(id, ref slot);
                return;
            }

            slot.Set(ConnectionFlags.CloseReported);
        }

        // If it still stands in the queue of the stalled, it is freed when its turn comes.
        if (slot.Is(ConnectionFlags.InStalledQueue)) return;
        state = default;
        _table.Free(id.Slot);
    }
}
