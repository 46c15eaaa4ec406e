using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <content>
/// Connections on which TLS is spoken. A session is used under its slot's gate throughout, for reading too: any thread sends. The
/// gate is held for one record at a time.
/// </content>
/// <remarks>
/// Reading may have to wait for the kernel to take something (a record of ours, or the answer to a key update), and sending for
/// the peer (the rest of a handshake message that it has begun): <see cref="ConnectionFlags.WantsRoom"/>,
/// <see cref="ConnectionFlags.WantsInput"/>.
/// </remarks>
internal sealed unsafe partial class Reactor<TState>
{
    /// <summary>What is encrypted in one hold of the gate, of what waits: a record of full length.</summary>
    private const int SecuredFlushBytes = 16 << 10;

    /// <summary>Records of one connection that are opened before others get their turn, whatever is in them.</summary>
    private const int RecordsInTurn = 16;

    /// <summary>
    /// Records without data that a peer may send in a row: key updates (RFC 8446, section 4.6.3), empty ones, alerts that are only warnings.
    /// Each costs a good deal and gives nothing.
    /// </summary>
    private const int MostRecordsWithoutData = 64;

    /// <summary>Closes a descriptor that no connection was made of, with its TLS if it has any.</summary>
    public static void CloseUnused(int descriptor, TlsSession session)
    {
        if (session.Handle != 0)
        {
            _ = session.EndWrite();
            session.Free();
        }

        _ = Libc.Close(descriptor);
    }

    /// <summary>Gives a connection its TLS. The gate is held.</summary>
    private void Secure(ConnectionId id, ref ConnectionSlot slot, TlsSession session)
    {
        session.Meter();
        _table.Secured(id.Slot) = new SecuredState(session);
        slot.Set(ConnectionFlags.Secured);
    }

    /// <summary>Receives from a connection with TLS, and brings its flags up to date.</summary>
    private ReadOnlySpan<byte> ReceiveSecured(ConnectionId id, ref ConnectionSlot slot, int most)
    {
        ref SecuredState secured = ref _table.Secured(id.Slot);
        Span<byte> into = new(_receiveBuffer, most);
        _sealed.Begin(ref secured);
        TlsStatus status = OpenRecords(id, ref slot, ref secured, into, out int count, out int errno);
        bool goesOn = status is TlsStatus.Done or TlsStatus.WantRead;

        slot.Enter();
        bool unread = goesOn && (!_sealed.Next.IsEmpty || secured.Session.HasUnread);
        bool flush = slot.Is(ConnectionFlags.WantsInput);
        slot.Clear(ConnectionFlags.HoldsUnread | ConnectionFlags.WantsInput);
        if (unread) slot.Set(ConnectionFlags.HoldsUnread);
        if (status == TlsStatus.WantWrite) slot.Set(ConnectionFlags.WantsRoom);
        bool endsBoth = status == TlsStatus.Ended && !secured.Session.IsTls13;
        Watch(id, ref slot);
        slot.Exit();
        _sealed.End(ref secured);

        (_reading.Status, _reading.Errno, _reading.EndsBoth, _reading.Unread, _reading.Flush) = (status, errno, endsBoth, unread, flush);
        return into[..count];
    }

    /// <summary>Does what follows from what <see cref="ReceiveSecured"/> has met.</summary>
    private void FinishSecured(ConnectionId id, ref ConnectionSlot slot)
    {
        // A copy: what is done here may receive again.
        Reading reading = _reading;
        switch (reading.Status)
        {
            case TlsStatus.Ended when !reading.EndsBoth:
                ReadEnded(id, ref slot);
                break;
            case TlsStatus.Ended:
                CloseFor(id, CloseReason.Ended);
                break;
            case TlsStatus.Truncated:
                CloseFor(id, CloseReason.Truncated);
                break;
            case TlsStatus.Failed:
                CloseFor(id, CloseReason.TlsError);
                break;
            case TlsStatus.Broken:
                CloseForError(id, reading.Errno);
                break;
            default:
                // Others get their turn before the rest is read.
                if (reading.Unread) Attend(id);
                if (reading.Flush) Flush(id, ref slot);
                break;
        }
    }

    /// <summary>Opens the records that have arrived, as many as there is room for and as make a turn.</summary>
    private TlsStatus OpenRecords(
        ConnectionId id, ref ConnectionSlot slot, ref SecuredState secured, Span<byte> into, out int count, out int errno)
    {
        TlsStatus status = TlsStatus.Done;
        bool holdsUnread = slot.Is(ConnectionFlags.HoldsUnread);
        bool received = false;
        count = errno = 0;
        for (int records = 0; records < RecordsInTurn && count < into.Length; records++)
        {
            ReadOnlySpan<byte> record = _sealed.Next;

            // What OpenSSL has not delivered or sent yet wants no record.
            if (record.IsEmpty && !holdsUnread)
            {
                if (received) break;
                received = true;
                nint arrived = _sealed.Receive(slot.Descriptor);
                errno = arrived < 0 ? Marshal.GetLastPInvokeError() : 0;
                if (arrived == 0) return TlsStatus.Truncated;
                if (arrived < 0) return errno is Errno.TryAgain or Errno.Interrupted ? TlsStatus.WantRead : TlsStatus.Broken;
                continue;
            }

            holdsUnread = false;
            slot.Enter();
            status = OpenRecord(ref secured, record, into[count..], recordWaits: slot.Is(ConnectionFlags.OutputQueued), out int opened);
            errno = status == TlsStatus.Broken ? Marshal.GetLastPInvokeError() : 0;
            slot.Exit();
            count += opened;
            if (status is not (TlsStatus.Done or TlsStatus.WantRead)) break;
        }

        return status;
    }

    /// <summary>Opens one record. The gate is held.</summary>
    private TlsStatus OpenRecord(ref SecuredState secured, ReadOnlySpan<byte> record, Span<byte> into, bool recordWaits, out int count)
    {
        count = 0;

        // The answer goes out behind our record (RFC 8446, section 4.6.3), and until then nothing more may ask for one.
        if (recordWaits && secured.Session.OwesKeyUpdate) return TlsStatus.WantWrite;
        TlsStatus status = secured.Session.Open(record, into, out count, out int taken);
        _sealed.Skip(taken);
        if (count > 0) secured.RecordsWithoutData = 0;
        if (count > 0 || taken == 0 || status is not (TlsStatus.WantRead or TlsStatus.WantWrite)) return status;

        // Up to TLS 1.2 it can only have been a renegotiation, and OpenSSL has answered no_renegotiation (RFC 5246, section 7.2.2): who tries
        // again and again would have thousands of answers to each record.
        bool renegotiates = record[0] == TlsRecord.Handshake && !secured.Session.IsTls13;
        if (!renegotiates && ++secured.RecordsWithoutData <= MostRecordsWithoutData) return status;
        secured.Session.Refuse();
        return TlsStatus.Failed;
    }

    /// <summary>The kernel takes more, and OpenSSL has waited for that.</summary>
    private void HasRoom(ConnectionId id)
    {
        if (!_table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        slot.Clear(ConnectionFlags.WantsRoom);

        // To read on is what lets OpenSSL go on.
        slot.Set(ConnectionFlags.HoldsUnread);
        Watch(id, ref slot);
        slot.Exit();
        Look(id);
    }

    /// <summary>Sends what OpenSSL and the kernel take. The gate is held.</summary>
    private int SendSecured(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes, out CloseReason? failure)
    {
        failure = null;
        if (bytes.IsEmpty) return 0;
        TlsStatus status = _table.Secured(id.Slot).Session.Write(bytes, out int sent);
        switch (status)
        {
            case TlsStatus.Done or TlsStatus.WantWrite:
                break;
            case TlsStatus.WantRead:
                slot.Set(ConnectionFlags.WantsInput);
                break;
            case TlsStatus.Broken:
                failure = ReasonFor(Marshal.GetLastPInvokeError());
                break;
            default:
                failure = CloseReason.TlsError;
                break;
        }

        return sent;
    }

    /// <summary>Ends our direction of a connection with TLS. The gate is held, and nothing waits to be sent.</summary>
    /// <returns>False when the kernel takes not even that now.</returns>
    private bool TryEndSecured(ConnectionId id, ref ConnectionSlot slot)
    {
        // In the middle of a key update there is no end in order; the peer learns of it from TCP alone.
        if (_table.Secured(id.Slot).Session.EndWrite() != TlsStatus.WantWrite) return true;
        slot.Set(ConnectionFlags.WantsRoom);
        Watch(id, ref slot);
        return false;
    }

    /// <summary>Frees the TLS of a connection that is being closed. The gate is held.</summary>
    private void CloseSecured(int index, ref ConnectionSlot slot, bool orderly)
    {
        ref SecuredState secured = ref _table.Secured(index);
        if (orderly && !slot.Is(ConnectionFlags.WriteEnded)) _ = secured.Session.EndWrite();
        secured.Free();
        secured = default;
        slot.Clear(ConnectionFlags.Secured);
    }
}
