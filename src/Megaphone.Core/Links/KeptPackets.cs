using System.Buffers;
using System.Diagnostics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Packets that a receiver has read and its sink cannot take yet, in order (section 7 of the link protocol).</summary>
/// <remarks>
/// While there are any, they are handed over by a task, whenever there is room, and the receiver goes on reading and only appends. So one of
/// the two hands packets over at a time.
/// </remarks>
/// <param name="sink">Where the packets go.</param>
/// <param name="onFailed">Called when a packet has ended the connection, or threw, for the receiver to find out.</param>
internal sealed class KeptPackets(IPacketSink sink, Action onFailed)
{
    /// <summary>What may exceed the window: another end may not count what is heeded ahead.</summary>
    private const int Slack = 64 << 10;

    private readonly Lock _lock = new();
    private readonly Queue<Batch> _batches = new();
    private Task<Outcome> _handingOver = Task.FromResult(Outcome.Done);
    private bool _isActive;
    private long _bytes;

    /// <summary>Completes when nothing is kept; <see cref="Outcome.Closed"/>: a packet has ended the connection. Faulted when one threw.</summary>
    public Task<Outcome> HandedOver => _handingOver;

    /// <summary>Begins to keep packets: the first of them could not be taken. For the receiver.</summary>
    /// <param name="packets">Whole packets; copied.</param>
    public void Begin(ReadOnlySpan<byte> packets)
    {
        Debug.Assert(!_isActive && _batches.Count == 0, "The receiver hands packets over itself while none are kept.");
        _isActive = true;
        Add(packets);
        _handingOver = HandOverAsync();
    }

    /// <summary>Keeps packets behind those that are kept. For the receiver.</summary>
    /// <param name="packets">Whole packets; copied.</param>
    /// <param name="isTooMuch">Whether that is more than the other end may have sent.</param>
    /// <returns>False when none are kept, so that these are to be handed over directly.</returns>
    public bool TryAppend(ReadOnlySpan<byte> packets, out bool isTooMuch)
    {
        lock (_lock)
        {
            isTooMuch = false;
            if (!_isActive) return false;
            if (packets.Length > 0) Add(packets);
            isTooMuch = _bytes > (long)sink.Window + Slack;
            return true;
        }
    }

    private void Add(ReadOnlySpan<byte> packets)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(packets.Length);
        packets.CopyTo(bytes);
        _batches.Enqueue(new Batch(bytes, packets.Length));
        _bytes += packets.Length;
    }

    private async Task<Outcome> HandOverAsync()
    {
        try
        {
            Outcome outcome;
            do
            {
                await sink.WaitForRoomAsync().ConfigureAwait(false);
                outcome = HandOver();
            }
            while (outcome == Outcome.WouldBlock);

            if (outcome == Outcome.Closed) onFailed();
            return outcome;
        }
        catch
        {
            onFailed();
            throw;
        }
    }

    /// <summary>Hands packets over until one is not taken, or none are left.</summary>
    private Outcome HandOver()
    {
        while (true)
        {
            Batch batch;
            lock (_lock) batch = _batches.Peek();
            Outcome outcome = HandOver(batch);
            if (outcome != Outcome.Done) return outcome;
            lock (_lock)
            {
                _batches.Dequeue();
                _isActive = _batches.Count > 0;
                ArrayPool<byte>.Shared.Return(batch.Bytes);
                if (!_isActive) return Outcome.Done;
            }
        }
    }

    private Outcome HandOver(Batch batch)
    {
        Outcome outcome = Outcome.Done;
        int packets = 0;
        int start = batch.Start;
        while (batch.Start < batch.Length)
        {
            ReadOnlySpan<byte> rest = batch.Bytes.AsSpan(batch.Start, batch.Length - batch.Start);
            bool isValid = PacketHeader.TryParse(rest, int.MaxValue, out PacketHeader header);
            Debug.Assert(isValid, "The receiver has parsed what is kept.");
            outcome = sink.AcceptKept(header.ConnectionId, rest[PacketHeader.Size..header.Length]);
            if (outcome != Outcome.Done) break;
            batch.Start += header.Length;
            packets++;
        }

        // Before it is acknowledged: the other end may send as much again then.
        lock (_lock) _bytes -= batch.Start - start;
        sink.OnBatchEnd(packets, 0);
        return outcome;
    }

    private sealed class Batch(byte[] bytes, int length)
    {
        public byte[] Bytes { get; } = bytes;

        public int Length { get; } = length;

        /// <summary>Where the first packet begins that was not handed over.</summary>
        public int Start { get; set; }
    }
}
