using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>Receives from the connections of one reactor whose records OpenSSL opens, one at a time.</summary>
/// <remarks>A session is used under its slot's gate, for reading too: any thread sends. The gate is held for one record at a time.</remarks>
internal sealed class OpenSslInput(EpollInterest interest) : IDisposable
{
    private readonly TlsRecordBuffer _records = new();

    /// <summary>
    /// Opens the records that have arrived, as many as there is room for and as make a turn, and brings the flags of TLS up to date.
    /// Takes the gate itself. What is left is kept for the next turn.
    /// </summary>
    /// <param name="id">The connection.</param>
    /// <param name="slot">Its slot.</param>
    /// <param name="secured">Its TLS.</param>
    /// <param name="into">Where the data goes.</param>
    /// <returns>How it came out.</returns>
    public TlsInputResult Receive(ConnectionId id, ref ConnectionSlot slot, ref OpenSslState secured, Span<byte> into)
    {
        _records.Begin(ref secured.Kept);
        TlsInputResult result = OpenRecords(ref slot, ref secured, into);
        bool goesOn = result.Status is TlsStatus.Done or TlsStatus.WantRead;

        slot.Enter();
        result.IsIncomplete = goesOn && (!_records.Next.IsEmpty || secured.Session.HasUnread);
        result.MustFlush = slot.Is(ConnectionFlags.TlsWantsRead);
        result.EndsBoth = result.Status == TlsStatus.Ended && !secured.Session.IsTls13;
        slot.Clear(ConnectionFlags.TlsHoldsInput | ConnectionFlags.TlsWantsRead);
        if (result.IsIncomplete) slot.Set(ConnectionFlags.TlsHoldsInput);
        if (result.Status == TlsStatus.WantWrite) slot.Set(ConnectionFlags.TlsWantsWrite);
        interest.Update(id, ref slot);
        slot.Exit();
        _records.End(ref secured.Kept);
        return result;
    }

    /// <inheritdoc/>
    public void Dispose() => _records.Dispose();

    private TlsInputResult OpenRecords(ref ConnectionSlot slot, ref OpenSslState secured, Span<byte> into)
    {
        TlsInputResult result = default;
        bool holdsInput = slot.Is(ConnectionFlags.TlsHoldsInput);
        bool received = false;
        for (int records = 0; records < TlsRecordBuffer.RecordsInTurn && result.Count < into.Length; records++)
        {
            ReadOnlySpan<byte> record = _records.Next;

            // What OpenSSL has not delivered or sent yet wants no record.
            if (record.IsEmpty && !holdsInput)
            {
                if (received) break;
                received = true;
                nint arrived = _records.Receive(slot.Descriptor, out _);
                if (arrived > 0) continue;
                result.Errno = arrived < 0 ? Marshal.GetLastPInvokeError() : 0;
                result.Status = arrived == 0 ? TlsStatus.Truncated
                    : result.Errno is Errno.TryAgain or Errno.Interrupted ? TlsStatus.WantRead
                    : TlsStatus.Broken;
                break;
            }

            holdsInput = false;
            slot.Enter();
            bool outputWaits = slot.Is(ConnectionFlags.OutputQueued);
            result.Status = OpenRecord(ref secured, record, into[result.Count..], outputWaits, out int opened);
            result.Errno = result.Status == TlsStatus.Broken ? Marshal.GetLastPInvokeError() : 0;
            slot.Exit();
            result.Count += opened;
            if (result.Status is not (TlsStatus.Done or TlsStatus.WantRead)) break;
        }

        return result;
    }

    /// <summary>Opens one record. The gate is held.</summary>
    private TlsStatus OpenRecord(ref OpenSslState secured, ReadOnlySpan<byte> record, Span<byte> into, bool outputWaits, out int count)
    {
        count = 0;

        // The answer goes out behind our record (RFC 8446, section 4.6.3), and until then nothing more may ask for one.
        if (outputWaits && secured.Session.OwesKeyUpdate) return TlsStatus.WantWrite;
        TlsStatus status = secured.Session.Open(record, into, out count, out int taken);
        _records.Skip(taken);
        if (count > 0) secured.RecordsWithoutData = 0;
        if (count > 0 || taken == 0 || status is not (TlsStatus.WantRead or TlsStatus.WantWrite)) return status;

        // Up to TLS 1.2 it can only have been a renegotiation, and OpenSSL has answered no_renegotiation (RFC 5246, section 7.2.2): a peer
        // that tries again and again would get thousands of answers to each record.
        bool renegotiates = record[0] == TlsRecord.Handshake && !secured.Session.IsTls13;
        if (!renegotiates && ++secured.RecordsWithoutData <= TlsRecordReader.MaxRecordsWithoutData) return status;
        secured.Session.Refuse();
        return TlsStatus.Failed;
    }
}
