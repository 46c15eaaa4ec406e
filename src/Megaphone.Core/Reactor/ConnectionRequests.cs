using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>What any thread may do to the connections of a reactor: begin one, send, and ask for its end or for a pause.</summary>
/// <remarks>
/// A request takes the gate of the connection's slot, acts on the descriptor straight away, and posts to the reactor what only that may
/// do. One that names a connection that is closed, or another owner than the connection has, changes nothing.
/// </remarks>
internal sealed class ConnectionRequests<TState>(
    ConnectionTable<TState> table, IAcceptHandler<TState>? accepted, OutgoingConnects<TState>? outgoing, ConnectionOutput<TState> output,
    EpollInterest interest, Arrivals<TState> arrivals, Mailbox mailbox)
    where TState : unmanaged
{
    /// <summary>With any of these nothing more is sent.</summary>
    public const ConnectionFlags WritesNoMore =
        ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded | ConnectionFlags.Aborting | ConnectionFlags.CloseWhenFlushed;

    /// <summary>Serves a client that was accepted, unless the handler refuses it.</summary>
    /// <param name="descriptor">The socket, which is the reactor's from here on.</param>
    /// <param name="peer">The client's address.</param>
    /// <param name="listener">Where it was accepted.</param>
    /// <param name="tls">Its TLS, with the handshake done, which is the reactor's from here on; or none.</param>
    /// <returns>Null when it is served; else why it was refused and closed.</returns>
    public RefusalReason? Accept(int descriptor, in NativeAddress peer, int listener, ref AcceptedTls tls)
    {
        if (!table.TryAllocate(out ConnectionId id))
        {
            accepted!.OnTurnedAway(peer);
            tls.Refuse(descriptor);
            return RefusalReason.TooMany;
        }

        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        slot.Descriptor = descriptor;
        RefusalReason? refusal = accepted!.OnAccepted(id, ref table.State(id.Slot), peer, descriptor, listener, tls.Facts, out slot.Owner);
        if (refusal is not null)
        {
            accepted.OnTurnedAway(peer);
            tls.Refuse(descriptor);
            slot.Descriptor = -1;
            slot.Set(ConnectionFlags.Closed | ConnectionFlags.CloseReported);
            slot.Exit();
            table.Free(id.Slot);
            return refusal;
        }

        if (tls.Session.Handle != 0)
        {
            tls.Session.ReadRecordsOnly();
            table.OpenSsl(id.Slot) = new OpenSslState(tls.Session);
            slot.Set(ConnectionFlags.Secured | ConnectionFlags.OpenSslRecords);
        }
        else if (tls.Facts is not null)
        {
            Secure(id, ref slot, ref tls.State);
        }

        refusal = Begin(id, ref slot);
        arrivals.Add(id);
        return refusal;
    }

    /// <inheritdoc cref="Add(int, int, TState, ref TlsConnectionState, out ConnectionId)"/>
    public RefusalReason? Add(int descriptor, int owner, TState state, out ConnectionId id)
    {
        TlsConnectionState none = default;
        return Add(descriptor, owner, state, ref none, out id);
    }

    /// <summary>Serves a connection that somebody else has opened.</summary>
    /// <param name="descriptor">The socket, connected and non-blocking, which is the reactor's from here on.</param>
    /// <param name="owner">Whose it is.</param>
    /// <param name="state">What the handler keeps for it.</param>
    /// <param name="tls">Its TLS, with the handshake done, which moves from here to the reactor; zeros: none.</param>
    /// <param name="id">Its id; set before the handler is first called for it.</param>
    /// <returns>Null when it is served; else why not, and it is closed.</returns>
    public RefusalReason? Add(int descriptor, int owner, TState state, ref TlsConnectionState tls, out ConnectionId id)
    {
        if (!table.TryAllocate(out id))
        {
            tls.Release();
            _ = Libc.Close(descriptor);
            return RefusalReason.TooMany;
        }

        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        slot.Descriptor = descriptor;
        slot.Owner = owner;
        slot.Set(ConnectionFlags.Admitted);
        table.State(id.Slot) = state;
        if (tls.IsBegun) Secure(id, ref slot, ref tls);
        return Begin(id, ref slot);
    }

    /// <summary>Begins to open a connection; what is sent to it waits until it is established.</summary>
    /// <returns>False when there is no place for it.</returns>
    public bool TryConnect(in NativeAddress to, int owner, TState state, out ConnectionId id)
    {
        if (!table.TryAllocate(out id)) return false;
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        table.State(id.Slot) = state;
        slot.Owner = owner;
        slot.Set(ConnectionFlags.Admitted);
        outgoing!.Begin(id, ref slot, to);
        slot.Exit();
        mailbox.PostUpdate(id);
        return true;
    }

    /// <summary>Sends bytes, or keeps a copy of what the kernel does not take.</summary>
    /// <param name="id">The connection.</param>
    /// <param name="owner">Whose it must be.</param>
    /// <param name="bytes">Copied if need be.</param>
    /// <param name="moreFollows">Whether they are a part of something, and a drain is to wait for the rest.</param>
    /// <returns>False when the connection is closed, has another owner, or its direction has been ended.</returns>
    public bool Send(ConnectionId id, int owner, ReadOnlySpan<byte> bytes, bool moreFollows = false)
    {
        bool isSendable;
        do
        {
            if (!table.TryEnter(id)) return false;
            ref ConnectionSlot slot = ref table.Slot(id.Slot);
            bool mustReconcile;

            // Between two records others get the gate.
            int count = slot.HasRecords ? Math.Min(bytes.Length, ConnectionOutput<TState>.MaxRecordBytes) : bytes.Length;
            try
            {
                isSendable = slot.Owner == owner && !slot.IsAny(WritesNoMore);
                if (isSendable && (moreFollows || count < bytes.Length)) slot.Set(ConnectionFlags.MoreFollows);
                else slot.Clear(ConnectionFlags.MoreFollows);
                mustReconcile = isSendable
                    && (!output.TrySend(id, ref slot, bytes[..count]) || output.ReportPressure(id, ref slot) != Outcome.Done);
            }
            finally
            {
                // Whatever happens, for want of memory say: a gate that stays held would hold up the reactor.
                slot.Exit();
            }

            if (mustReconcile) mailbox.PostUpdate(id);
            bytes = bytes[count..];
        }
        while (isSendable && !bytes.IsEmpty);

        return isSendable;
    }

    /// <summary>
    /// Sends the last bytes there will be, and ends our direction behind them. Nothing happens when that direction had been ended before.
    /// </summary>
    /// <param name="id">The connection.</param>
    /// <param name="owner">Whose it must be.</param>
    /// <param name="opening">What must come first if nothing has ever been sent.</param>
    /// <param name="bytes">Copied if need be.</param>
    /// <param name="reason">Why, for <see cref="IConnectionHandler{TState}.OnClosing"/>.</param>
    public void SendLast(
        ConnectionId id, int owner, ReadOnlySpan<byte> opening, ReadOnlySpan<byte> bytes, CloseReason reason = CloseReason.Ended)
    {
        if (!table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        try
        {
            if (slot.Owner != owner || slot.IsAny(WritesNoMore)) return;
            if (slot.Is(ConnectionFlags.HasSent) || output.TrySend(id, ref slot, opening)) output.TrySend(id, ref slot, bytes);
            slot.Set(ConnectionFlags.WriteEnding);
            slot.Reason = reason;
        }
        finally
        {
            slot.Exit();
        }

        mailbox.PostUpdate(id);
    }

    /// <inheritdoc cref="ReactorGroup{TState}.PeerOf"/>
    public NativeAddress PeerOf(ConnectionId id) => table.IsOpen(id) ? NativeSocket.PeerAddress(table.Slot(id.Slot).Descriptor) : default;

    /// <inheritdoc cref="ReactorGroup{TState}.StateOf"/>
    public ref TState StateOf(ConnectionId id) => ref table.State(id.Slot);

    /// <inheritdoc cref="ReactorGroup{TState}.OwnerOf"/>
    public int OwnerOf(ConnectionId id) => table.IsOpen(id) ? table.Slot(id.Slot).Owner : 0;

    /// <summary>Admits a connection that was accepted: the handler knows now who it is. Nothing happens the second time.</summary>
    public void Admit(ConnectionId id, int owner)
    {
        if (table.Has(id, ConnectionFlags.Admitted) || !table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        if (slot.Owner == owner && !slot.Is(ConnectionFlags.Admitted))
        {
            slot.Set(ConnectionFlags.Admitted);
            accepted!.OnAdmitted(id, ref table.State(id.Slot));
        }

        slot.Exit();
    }

    /// <summary>Marks an accepted connection as one to be closed, whoever has it; <see cref="Reactor{TState}.CloseKicked"/> closes it.</summary>
    /// <returns>False when it is closed already.</returns>
    public bool TryMarkKicked(ConnectionId id)
    {
        if (!table.TryEnter(id)) return false;
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        slot.Set(ConnectionFlags.Kicked);
        slot.Exit();
        return true;
    }

    /// <summary>Ends our direction after what waits.</summary>
    /// <returns>False when the connection is closed, has another owner, or its direction had been ended before.</returns>
    public bool EndWrite(ConnectionId id, int owner) =>
        TryRequest(id, owner, ConnectionFlags.WriteEnding, unless: ConnectionFlags.WriteEnding | ConnectionFlags.WriteEnded, reason: null);

    /// <summary>Closes the connection after what waits.</summary>
    public void CloseWhenFlushed(ConnectionId id, int owner, CloseReason reason) =>
        TryRequest(id, owner, ConnectionFlags.CloseWhenFlushed, unless: ConnectionFlags.Aborting, reason);

    /// <summary>Aborts the connection in both directions.</summary>
    /// <returns>False when it is closed already or has another owner.</returns>
    public bool Abort(ConnectionId id, int owner, CloseReason reason) =>
        TryRequest(id, owner, ConnectionFlags.Aborting, unless: ConnectionFlags.Aborting, reason);

    /// <summary>The same for one that has not been admitted.</summary>
    /// <returns>False when it has been, or is closed already, or has another owner.</returns>
    public bool AbortStranger(ConnectionId id, int owner, CloseReason reason) =>
        TryRequest(id, owner, ConnectionFlags.Aborting, unless: ConnectionFlags.Aborting | ConnectionFlags.Admitted, reason);

    /// <summary>Pauses reading from the connection, or goes on with it.</summary>
    public void PauseReading(ConnectionId id, int owner, bool pause)
    {
        if (!table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        if (slot.Owner == owner)
        {
            if (pause) slot.Set(ConnectionFlags.ReadPaused);
            else slot.Clear(ConnectionFlags.ReadPaused);
            interest.Update(id, ref slot);
        }

        bool mustRead = !pause && slot.Is(ConnectionFlags.TlsHoldsInput);
        slot.Exit();
        if (mustRead) mailbox.PostUpdate(id);
    }

    /// <summary>Has the handler asked again about a connection that it holds (<see cref="Outcome.Held"/>). Takes no gate.</summary>
    public void Release(ConnectionId id) => mailbox.PostUpdate(id);

    /// <summary>Moves the state of a connection's TLS to where it stays. The gate is held.</summary>
    private void Secure(ConnectionId id, ref ConnectionSlot slot, ref TlsConnectionState tls)
    {
        table.Secured(id.Slot) = new SecuredState { Tls = tls };
        output.CountTls(tls.Parameters, 1);
        slot.Set(ConnectionFlags.Secured);
        tls.Release();
    }

    /// <summary>Begins to watch a connected descriptor. The gate is held, and is given back.</summary>
    private RefusalReason? Begin(ConnectionId id, ref ConnectionSlot slot)
    {
        bool isWatched = interest.TryWatchInput(id, ref slot);
        if (!isWatched) slot.Fail(CloseReason.OutOfResources);
        slot.Exit();
        if (isWatched) return null;
        mailbox.PostUpdate(id);
        return RefusalReason.Memory;
    }

    private bool TryRequest(ConnectionId id, int owner, ConnectionFlags what, ConnectionFlags unless, CloseReason? reason)
    {
        if (!table.TryEnter(id)) return false;
        ref ConnectionSlot slot = ref table.Slot(id.Slot);
        bool isNew = slot.Owner == owner && !slot.IsAny(unless);
        if (isNew)
        {
            slot.Set(what);
            slot.Reason = reason ?? slot.Reason;
        }

        slot.Exit();
        if (isNew) mailbox.PostUpdate(id);
        return isNew;
    }
}
