using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>Sends what the kernel takes, and keeps the rest within bounds. Everything here is called with the slot's gate held.</summary>
internal sealed unsafe class ConnectionOutput<TState>(
    ConnectionTable<TState> table, IConnectionHandler<TState> handler, EpollInterest interest, BufferOptions bounds, RoleMetrics metrics)
    where TState : unmanaged
{
    /// <summary>What is encrypted in one hold of the gate: a record of full length.</summary>
    public const int MaxRecordBytes = SecurityParameters.MaxContentBytes;

    /// <summary>Sends bytes, or queues what the kernel does not take.</summary>
    /// <returns>False when the reactor has to close the connection.</returns>
    public bool TrySend(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes)
    {
        slot.Set(ConnectionFlags.HasSent);
        if (!slot.HasRecords) return TrySendAsIs(id, ref slot, bytes);
        for (; !bytes.IsEmpty; bytes = bytes[Math.Min(bytes.Length, MaxRecordBytes)..])
        {
            if (!TrySeal(id, ref slot, bytes[..Math.Min(bytes.Length, MaxRecordBytes)])) return false;
        }

        return true;
    }

    /// <summary>The peer has asked for a key update: it is sent now, or goes in front of what is sealed next.</summary>
    /// <returns>False when the connection has failed, and the reactor has to close it.</returns>
    public bool OweKeyUpdate(ConnectionId id, ref ConnectionSlot slot)
    {
        ref TlsConnectionState tls = ref table.Secured(id.Slot).Tls;
        tls.OweKeyUpdate();
        return slot.Is(ConnectionFlags.OutputQueued) || TryUpdateKey(id, ref slot, ref tls);
    }

    /// <summary>
    /// Sends a fatal alert, which ends our direction. If something waits it is not sent: it would have to come behind that, and the connection
    /// is about to be closed.
    /// </summary>
    public bool TrySendAlert(ConnectionId id, ref ConnectionSlot slot, TlsAlert alert)
    {
        ref TlsConnectionState tls = ref table.Secured(id.Slot).Tls;
        if (tls.WriteEnded || slot.Is(ConnectionFlags.OutputQueued)) return true;
        Span<byte> record = stackalloc byte[TlsRecordWriter.MaxEndBytes];
        return TrySendAsIs(id, ref slot, TlsRecordWriter.SealEnd(ref tls, alert, record));
    }

    /// <summary>Sends bytes as they are, which is not yet encrypted where OpenSSL does that.</summary>
    private bool TrySendAsIs(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes)
    {
        if (!slot.IsAny(ConnectionFlags.OutputQueued | ConnectionFlags.Connecting))
        {
            int sent = SendNow(id, ref slot, bytes, out CloseReason? failure);
            if (failure is { } reason) return Fail(ref slot, reason);
            if (sent == bytes.Length) return true;
            bytes = bytes[sent..];
        }

        return bytes.IsEmpty || TryQueue(id, ref slot, bytes);
    }

    /// <summary>Sends what the kernel takes of what waits.</summary>
    /// <param name="id">The connection.</param>
    /// <param name="slot">Its slot.</param>
    /// <param name="mustReconcile">Whether the reactor has to act on what is left.</param>
    /// <returns>Why the connection has to be closed; null when it stays.</returns>
    public CloseReason? Flush(ConnectionId id, ref ConnectionSlot slot, out bool mustReconcile)
    {
        mustReconcile = false;
        if (slot.Is(ConnectionFlags.OutputQueued))
        {
            ref OutputBacklog backlog = ref table.Backlog(id.Slot);
            ReadOnlySpan<byte> waiting = backlog.Waiting;
            if (slot.Is(ConnectionFlags.OpenSslRecords)) waiting = waiting[..Math.Min(waiting.Length, MaxRecordBytes)];
            int sent = SendNow(id, ref slot, waiting, out CloseReason? failure);
            if (failure is not null) return failure;

            backlog.Advance(sent);
            metrics.AddBuffered(-sent);
            if (slot.Is(ConnectionFlags.AboveHigh) && backlog.Count <= bounds.LowBytes)
            {
                slot.Clear(ConnectionFlags.AboveHigh);
                mustReconcile = true;
            }

            if (backlog.Count == 0)
            {
                Drop(id, ref slot);
                if (slot.HasRecords && !TryUpdateKey(id, ref slot, ref table.Secured(id.Slot).Tls)) return slot.Reason;
                mustReconcile |= slot.IsAny(ConnectionFlags.WriteEnding | ConnectionFlags.CloseWhenFlushed);
            }
        }

        interest.Update(id, ref slot);
        return null;
    }

    /// <summary>Frees what waits.</summary>
    public void Drop(ConnectionId id, ref ConnectionSlot slot)
    {
        ref OutputBacklog backlog = ref table.Backlog(id.Slot);
        metrics.AddBuffered(-backlog.Count);
        metrics.AddBufferMemory(-backlog.Capacity);
        backlog.Release();
        slot.Clear(ConnectionFlags.OutputQueued);
    }

    /// <summary>Frees the TLS of a connection that is being closed.</summary>
    /// <param name="index">Its slot's index.</param>
    /// <param name="slot">Its slot.</param>
    /// <param name="inOrder">Whether the peer is to be told that our direction ends here. Nothing must wait then.</param>
    public void DropTls(int index, ref ConnectionSlot slot, bool inOrder)
    {
        if (slot.Is(ConnectionFlags.OpenSslRecords))
        {
            ref OpenSslState secured = ref table.OpenSsl(index);
            if (inOrder && !slot.Is(ConnectionFlags.WriteEnded)) _ = secured.Session.EndWrite();
            secured.Free();
            secured = default;
        }
        else
        {
            ref SecuredState secured = ref table.Secured(index);
            CountTls(secured.Tls.Parameters, -1);
            if (inOrder) TlsEnd.Send(slot.Descriptor, ref secured.Tls);
            metrics.AddBufferMemory(-secured.Kept.Bytes);
            secured.Kept.Free();
            secured.Tls.Release();
        }

        slot.Clear(ConnectionFlags.Secured | ConnectionFlags.OpenSslRecords);
    }

    /// <summary>Counts connections with what their handshakes have agreed on.</summary>
    public void CountTls(SecurityParameters agreed, int connections) =>
        metrics.AddTls(agreed.IsTls13, AeadAlgorithms.All.IndexOf(agreed.Algorithm), connections);

    /// <summary>Counts all connections that were handed over so.</summary>
    public void CountAllTls()
    {
        for (int index = 0; index < table.Used; index++)
        {
            if (table.Slot(index).HasRecords) CountTls(table.Secured(index).Tls.Parameters, 1);
        }
    }

    /// <summary>Tells the handler of the write pressure, if that is other than what it was last told.</summary>
    /// <remarks>
    /// With the gate held the order in which it is told is the order in which it happened, whichever thread tells it; and
    /// the thread that fills the buffer says so itself, before it goes on filling.
    /// </remarks>
    /// <returns><see cref="Outcome.WouldBlock"/>: the handler has no room for it.</returns>
    public Outcome ReportPressure(ConnectionId id, ref ConnectionSlot slot)
    {
        bool isHigh = slot.Is(ConnectionFlags.AboveHigh);
        if (isHigh == slot.Is(ConnectionFlags.PressureReported)) return Outcome.Done;
        Outcome outcome = handler.OnWritePressureChanged(id, slot.Owner, ref table.State(id.Slot), isHigh);
        if (outcome != Outcome.Done) return outcome;
        if (isHigh) slot.Set(ConnectionFlags.PressureReported);
        else slot.Clear(ConnectionFlags.PressureReported);
        return Outcome.Done;
    }

    /// <summary>Ends our direction. Nothing waits to be sent.</summary>
    /// <returns>False when the kernel does not even take the end of TLS now.</returns>
    public bool TryEnd(ConnectionId id, ref ConnectionSlot slot)
    {
        // In the middle of a key update OpenSSL cannot be ended in order; the peer learns of the end from TCP alone.
        if (slot.Is(ConnectionFlags.OpenSslRecords) && table.OpenSsl(id.Slot).Session.EndWrite() == TlsStatus.WantWrite)
        {
            slot.Set(ConnectionFlags.TlsWantsWrite);
            interest.Update(id, ref slot);
            return false;
        }

        // What the kernel does not take of it waits, and this is called once more when it has been sent.
        if (slot.HasRecords)
        {
            TrySendAlert(id, ref slot, TlsAlert.CloseNotify);
            if (slot.Is(ConnectionFlags.OutputQueued)) return false;
        }

        slot.Clear(ConnectionFlags.WriteEnding);
        slot.Set(ConnectionFlags.WriteEnded);
        _ = Libc.Shutdown(slot.Descriptor, Libc.ShutWrite);
        return true;
    }

    /// <summary>
    /// Seals one record, and sends what the kernel takes of it. What waits for the kernel is sealed, so that nothing can come into the middle of
    /// a record.
    /// </summary>
    /// <returns>False when the reactor has to close the connection.</returns>
    private bool TrySeal(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> content)
    {
        ref TlsConnectionState tls = ref table.Secured(id.Slot).Tls;
        Span<byte> buffer = SealBuffer.Of(content.Length);
        content.CopyTo(buffer[TlsRecordWriter.BytesBefore..]);
        if (!TrySendAsIs(id, ref slot, TlsRecordWriter.Seal(ref tls, buffer))) return false;
        if (!tls.MustEnd) return true;

        // A connection of TLS 1.2 that has used up its key can only be made anew.
        slot.Set(ConnectionFlags.CloseWhenFlushed);
        slot.Reason = CloseReason.Ended;
        return false;
    }

    private bool TryUpdateKey(ConnectionId id, ref ConnectionSlot slot, ref TlsConnectionState tls)
    {
        if (tls.WriteEnded || !tls.MustUpdateKey) return true;
        Span<byte> record = stackalloc byte[TlsRecordWriter.KeyUpdateBytes];
        return TrySendAsIs(id, ref slot, TlsRecordWriter.SealKeyUpdate(ref tls, record));
    }

    private bool TryQueue(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes)
    {
        ref OutputBacklog backlog = ref table.Backlog(id.Slot);
        int waiting = backlog.Count + bytes.Length;
        bool isAdmitted = slot.Is(ConnectionFlags.Admitted);
        if (waiting > bounds.LimitBytes || (!isAdmitted && waiting > bounds.UnadmittedBytes)) return Fail(ref slot, CloseReason.BufferLimit);
        int capacity = backlog.CapacityFor(bytes.Length);
        int memory = capacity - backlog.Capacity;
        if (metrics.AddBufferMemory(memory) > bounds.TotalFor(capacity, isAdmitted))
        {
            metrics.AddBufferMemory(-memory);
            return Fail(ref slot, CloseReason.BufferTotal);
        }

        metrics.AddBuffered(bytes.Length);
        backlog.Append(bytes);
        slot.Set(ConnectionFlags.OutputQueued);
        interest.Update(id, ref slot);
        if (waiting >= bounds.HighBytes) slot.Set(ConnectionFlags.AboveHigh);
        return true;
    }

    /// <summary>Sends what the kernel takes.</summary>
    /// <returns>How much that was; <paramref name="failure"/> says what is wrong with the connection.</returns>
    private int SendNow(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes, out CloseReason? failure)
    {
        failure = null;
        if (slot.Is(ConnectionFlags.OpenSslRecords)) return SendTls(id, ref slot, bytes, out failure);
        fixed (byte* start = bytes)
        {
            while (true)
            {
                nint sent = Libc.Send(slot.Descriptor, start, (nuint)bytes.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
                if (sent >= 0) return (int)sent;
                int error = Marshal.GetLastPInvokeError();
                if (error == Errno.Interrupted) continue;
                if (error != Errno.TryAgain) failure = SocketErrors.ReasonFor(error);
                return 0;
            }
        }
    }

    private int SendTls(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes, out CloseReason? failure)
    {
        failure = null;
        if (bytes.IsEmpty) return 0;
        TlsStatus status = table.OpenSsl(id.Slot).Session.Write(bytes, out int sent);
        switch (status)
        {
            case TlsStatus.Done or TlsStatus.WantWrite:
                break;
            case TlsStatus.WantRead:
                slot.Set(ConnectionFlags.TlsWantsRead);
                break;
            case TlsStatus.Broken:
                failure = SocketErrors.ReasonFor(Marshal.GetLastPInvokeError());
                break;
            default:
                failure = CloseReason.TlsError;
                break;
        }

        return sent;
    }

    private static bool Fail(ref ConnectionSlot slot, CloseReason reason)
    {
        slot.Fail(reason);
        return false;
    }
}
