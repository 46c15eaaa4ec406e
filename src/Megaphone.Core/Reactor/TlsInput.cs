using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>Receives from the connections with TLS of one reactor, one at a time, and opens their records.</summary>
/// <remarks>
/// <para>To open a record wants no gate: the reader's side of a connection is the reactor's alone. The gate is taken for an answer to the peer.
/// </para>
/// <para>What is incomplete is kept here while that is cheap, and it is left to the kernel while the memory of all buffers is scarce: more
/// than half of its bound, so that clients who send parts of records never take what is wanted for output. For a connection that is not
/// admitted nothing incomplete is ever kept.</para>
/// </remarks>
internal sealed class TlsInput<TState>(
    ConnectionTable<TState> table, ConnectionOutput<TState> output, BufferOptions bounds, RoleMetrics metrics) : IDisposable
    where TState : unmanaged
{
    private readonly TlsRecordBuffer _records = new();

    /// <summary>
    /// Opens the records that have arrived, as many as there is room for and as make a turn. What is left is kept for the next turn.
    /// </summary>
    /// <param name="id">The connection.</param>
    /// <param name="slot">Its slot; the gate is not held.</param>
    /// <param name="into">Where the data goes; not empty.</param>
    public TlsInputResult Receive(ConnectionId id, ref ConnectionSlot slot, Span<byte> into)
    {
        ref SecuredState secured = ref table.Secured(id.Slot);
        int keptBefore = secured.Kept.Bytes;
        _records.Begin(ref secured.Kept);
        TlsInputResult result = OpenRecords(id, ref slot, ref secured.Tls, into);
        if (result.WantsKeyUpdate)
        {
            // One answers all that were asked for in this turn: each by itself would be a segment, and all together more than fit before an alert.
            slot.Enter();
            output.OweKeyUpdate(id, ref slot);
            slot.Exit();
        }

        bool goesOn = result.Status is TlsStatus.Done or TlsStatus.WantRead;
        if (goesOn) _records.End(ref secured.Kept);
        int more = secured.Kept.Bytes - keptBefore;
        if (more != 0 && metrics.AddBufferMemory(more) > bounds.TotalBytes && more > 0) result.Status = TlsStatus.NoMemory;

        // Only this thread sets the flag and clears it, so it may be looked at without the gate.
        result.IsIncomplete = goesOn && (_records.HasData || !_records.Next.IsEmpty);
        if (result.IsIncomplete == slot.Is(ConnectionFlags.TlsHoldsInput)) return result;
        slot.Enter();
        if (result.IsIncomplete) slot.Set(ConnectionFlags.TlsHoldsInput);
        else slot.Clear(ConnectionFlags.TlsHoldsInput);
        slot.Exit();
        return result;
    }

    /// <inheritdoc/>
    public void Dispose() => _records.Dispose();

    private TlsInputResult OpenRecords(ConnectionId id, ref ConnectionSlot slot, ref TlsConnectionState tls, Span<byte> into)
    {
        TlsInputResult result = new() { Status = TlsStatus.WantRead, Count = _records.DeliverRest(into), MayBeMore = true };
        bool received = slot.Is(ConnectionFlags.TlsHoldsInput);
        for (int records = 0; records < TlsRecordBuffer.RecordsInTurn && result.Count < into.Length;)
        {
            Span<byte> waiting = _records.Waiting;
            OpenedRecord record = TlsRecordReader.Open(ref tls, waiting);
            switch (record.Kind)
            {
                case OpenedRecordKind.Incomplete when received:
                    return result;
                case OpenedRecordKind.Incomplete:
                    received = true;
                    if (TryReceive(ref slot, ref result)) continue;
                    return result;
                case OpenedRecordKind.Data:
                    result.Count += _records.Deliver(waiting.Slice(record.DataStart, record.DataLength), into[result.Count..]);
                    break;
                case OpenedRecordKind.KeyUpdateRequested:
                    result.WantsKeyUpdate = true;
                    break;
                case OpenedRecordKind.Ended:
                    (result.Status, result.EndsBoth) = (TlsStatus.Ended, !tls.Parameters.IsTls13);
                    return result;
                case OpenedRecordKind.Fault:
                    slot.Enter();
                    output.TrySendAlert(id, ref slot, record.Alert);

                    // Nothing may be sealed behind it, neither by those to whom what came before is given now, nor by a link's thread.
                    if (!slot.IsAny(ConnectionRequests<TState>.WritesNoMore)) slot.Fail(CloseReason.TlsError);
                    slot.Exit();
                    result.Status = TlsStatus.Failed;
                    return result;
                case OpenedRecordKind.FatalAlert:
                    result.Status = TlsStatus.Failed;
                    return result;
            }

            _records.Skip(record.Length);
            records++;
        }

        return result;
    }

    /// <summary>Receives what has arrived; while memory is scarce, or from a stranger, one record, and that only when it is there whole.</summary>
    /// <returns>False when there is nothing; the status says why.</returns>
    private bool TryReceive(ref ConnectionSlot slot, ref TlsInputResult result)
    {
        nint arrived;
        int missing = 0;
        if (metrics.BufferMemory > bounds.TotalBytes / 2 || IsStranger(slot)) arrived = _records.ReceiveWhole(slot.Descriptor, out missing);
        else arrived = Receive(slot.Descriptor, ref result);
        if (missing > 0)
        {
            // The kernel keeps the part until it has the rest. Where it speaks up before that it can keep no more, or no more will come.
            if (!slot.Is(ConnectionFlags.TlsAwaitsRecord) || missing > NativeSocket.LeastReported(slot.Descriptor))
            {
                Await(ref slot, missing);
                result.Status = TlsStatus.WantRead;
                return false;
            }

            arrived = Receive(slot.Descriptor, ref result);
        }

        result.Errno = arrived < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (result.Errno == Errno.Interrupted) result.MayBeMore = true;
        if (slot.Is(ConnectionFlags.TlsAwaitsRecord)) Await(ref slot, 1);
        if (arrived > 0) return true;
        result.Status = arrived == 0 ? TlsStatus.Truncated
            : result.Errno is Errno.TryAgain or Errno.Interrupted ? TlsStatus.WantRead
            : TlsStatus.Broken;
        return false;
    }

    /// <summary>Whether nothing is kept for a connection, as it has not been admitted.</summary>
    private bool IsStranger(in ConnectionSlot slot) => bounds.UnadmittedBytes < bounds.LimitBytes && !slot.Is(ConnectionFlags.Admitted);

    private nint Receive(int descriptor, ref TlsInputResult result)
    {
        nint arrived = _records.Receive(descriptor, out bool isFilled);
        result.MayBeMore = isFilled;
        return arrived;
    }

    /// <summary>Has the kernel report input when there are so many bytes.</summary>
    private static void Await(ref ConnectionSlot slot, int bytes)
    {
        NativeSocket.ReportFrom(slot.Descriptor, bytes);
        slot.Enter();
        if (bytes > 1) slot.Set(ConnectionFlags.TlsAwaitsRecord);
        else slot.Clear(ConnectionFlags.TlsAwaitsRecord);
        slot.Exit();
    }
}
