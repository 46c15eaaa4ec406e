using System.Buffers;
using System.Net.Sockets;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Receives one link's stream and dispatches its packets, parsed in place. No allocation per packet.</summary>
/// <remarks>
/// Only the incomplete tail of what arrived is ever copied. The buffer grows when a longer packet has filled it,
/// never because a header announces one, and shrinks again after it. It comes from the shared pool, and goes back there when the
/// stream ends: the connection that resumes a link that was cut takes up the same memory.
/// </remarks>
/// <param name="socket">Connected; stays its owner's.</param>
/// <param name="maxPacketBytes">The longest packet that is accepted at first; see <see cref="AcceptUpTo"/>.</param>
/// <param name="sink">Where packets go at first; see <see cref="Sink"/>.</param>
internal sealed class LinkReceiver(Socket socket, int maxPacketBytes, IPacketSink sink)
{
    /// <summary>The longest packet of a link that has to authenticate first.</summary>
    public const int LongestHello = PacketHeader.Size + ControlMessage.MaxBytes;

    /// <summary>Large enough that a busy link needs few system calls, small enough to stay in the second-level cache.</summary>
    private const int BufferBytes = 256 << 10;

    /// <summary>
    /// For how long, in milliseconds, receives may complete synchronously before the thread is yielded to other links. Checked
    /// after each receive: a packet that opens a session takes thirty times as long as one that is passed on.
    /// </summary>
    private const int YieldAfterMilliseconds = 10;

    /// <summary>The first buffer: a link that sends little, or nothing, takes little memory.</summary>
    private const int FirstBufferBytes = 4 << 10;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(FirstBufferBytes);
    private int _start;
    private int _end;
    private PacketSplitter _splitter = new(maxPacketBytes);
    private KeptPackets? _kept;
    private int _maxPacketBytes = maxPacketBytes;

    /// <summary>Accepts packets up to this length from the next one on. Before receiving begins, or by the sink while it handles a packet.</summary>
    public void AcceptUpTo(int maxPacketBytes) => _maxPacketBytes = maxPacketBytes;

    /// <summary>Where packets go, from the next one on. Set before receiving begins, or by the sink while it handles a packet.</summary>
    public IPacketSink Sink { get; set; } = sink;

    /// <summary>Receives until the stream ends, fails, or is closed.</summary>
    /// <param name="secured">The TLS stream, if the link uses TLS.</param>
    public async Task<End> RunAsync(SecuredSocket? secured = null)
    {
        End end;
        try
        {
            end = await ReceiveAsync(secured).ConfigureAwait(false);
        }
        catch
        {
            Sink.StopWaiting();
            if (_kept is not null) await ((Task)_kept.HandedOver).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }

        if (_kept is null) return end;

        // What came before an orderly end is still handed over; what came before any other comes again.
        if (!end.Orderly) Sink.StopWaiting();
        return await _kept.HandedOver.ConfigureAwait(false) == Outcome.Closed ? new End("") : end;
    }

    private async Task<End> ReceiveAsync(SecuredSocket? secured)
    {
        ReceiveOperation operation = ReceiveOperation.Rent();
        try
        {
            long lastYield = Environment.TickCount64;
            while (true)
            {
                int count;
                bool isAsynchronous;
                if (secured is null)
                {
                    isAsynchronous = !operation.Receive(socket, _buffer, _end, _buffer.Length - _end).IsCompleted;
                    count = await operation;
                }
                else
                {
                    ValueTask<int> receiving = secured.ReceiveAsync(_buffer.AsMemory(_end));
                    isAsynchronous = !receiving.IsCompleted;
                    count = await receiving.ConfigureAwait(false);
                }

                if (isAsynchronous) lastYield = Environment.TickCount64;

                if (count <= 0) return DescribeEnd(count, operation.SocketError, secured is { IsTruncated: true });

                _end += count;
                Outcome outcome = _kept is null ? Outcome.WouldBlock : Keep(count);
                int arrived = count;
                while (outcome == Outcome.WouldBlock && (outcome = Dispatch(arrived)) == Outcome.WouldBlock)
                {
                    if (Sink.Window > 0)
                    {
                        outcome = BeginToKeep();
                        break;
                    }

                    await Sink.WaitForRoomAsync().ConfigureAwait(false);
                    arrived = 0;
                }

                if (outcome == Outcome.Closed)
                    return _splitter.Fault is { } fault ? new End(fault.ToString(), Fault: fault) : new End("");

                MakeRoom(filled: _end == _buffer.Length);
                if (Environment.TickCount64 - lastYield >= YieldAfterMilliseconds)
                {
                    await Task.Yield();
                    lastYield = Environment.TickCount64;
                }
            }
        }
        catch (ObjectDisposedException)
        {
            return new End("closed");
        }
        catch (IOException error) when (secured is not null)
        {
            return new End(secured.IsTruncated ? "truncated in the middle of a TLS record" : TlsFault.Describe(error));
        }
        finally
        {
            operation.Return();
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }
    }

    /// <summary>Dispatches the packets that are complete.</summary>
    private Outcome Dispatch(int arrived)
    {
        ReadOnlySpan<byte> unread = _buffer.AsSpan(_start, _end - _start);
        int packets = 0;
        Outcome outcome = Outcome.Done;
        PacketSplitter splitter = _splitter;
        while (true)
        {
            // The packet before this one may have been the hello that raises the link's limit.
            splitter.MaxPacketBytes = _maxPacketBytes;
            PacketSplitter before = splitter;
            PacketSplitter.Result result = splitter.Next(unread, out PacketHeader header);
            if (result != PacketSplitter.Result.Packet)
            {
                if (result == PacketSplitter.Result.Malformed) outcome = Outcome.Closed;
                break;
            }

            outcome = Sink.Accept(header.ConnectionId, unread[PacketHeader.Size..header.Length]);
            if (outcome != Outcome.Done)
            {
                splitter = before;
                break;
            }

            packets++;
            unread = unread[header.Length..];
        }

        _splitter = splitter;
        _start = _end - unread.Length;
        Sink.OnBatchEnd(packets, arrived);
        return outcome;
    }

    /// <summary>Keeps the packets that are complete behind those that are kept.</summary>
    /// <returns><see cref="Outcome.WouldBlock"/> when none are kept: they are to be dispatched.</returns>
    private Outcome Keep(int arrived)
    {
        PacketSplitter splitter = _splitter;
        int bytes = CountComplete(ref splitter);
        ReadOnlySpan<byte> complete = _buffer.AsSpan(_start, bytes);
        if (!_kept!.TryAppend(complete, out bool isTooMuch)) return Outcome.WouldBlock;
        _splitter = splitter;
        _start += bytes;
        Sink.OnKept(arrived);
        if (isTooMuch) Sink.OnWindowExceeded();
        return isTooMuch || splitter.Fault is not null ? Outcome.Closed : Heed(complete);
    }

    /// <summary>Keeps the packets that are complete: the first of them could not be taken.</summary>
    private Outcome BeginToKeep()
    {
        int bytes = CountComplete(ref _splitter);
        ReadOnlySpan<byte> complete = _buffer.AsSpan(_start, bytes);
        _start += bytes;
        _kept ??= new KeptPackets(Sink, () => LinkSocket.EndReceiving(socket));
        _kept.Begin(complete);
        return _splitter.Fault is not null ? Outcome.Closed : Heed(complete);
    }

    private int CountComplete(ref PacketSplitter splitter)
    {
        ReadOnlySpan<byte> unread = _buffer.AsSpan(_start, _end - _start);
        int bytes = 0;
        while (splitter.Next(unread[bytes..], out PacketHeader header) == PacketSplitter.Result.Packet) bytes += header.Length;
        return bytes;
    }

    private Outcome Heed(ReadOnlySpan<byte> packets)
    {
        while (!packets.IsEmpty)
        {
            _ = PacketHeader.TryParse(packets, int.MaxValue, out PacketHeader header);
            if (header.ConnectionId == PacketHeader.ControlId && Sink.Heed(packets[PacketHeader.Size..header.Length]) == Outcome.Closed)
                return Outcome.Closed;
            packets = packets[header.Length..];
        }

        return Outcome.Done;
    }

    /// <summary>Makes room to receive into.</summary>
    /// <param name="filled">Whether the last receive filled the buffer to its end: more would have fitted.</param>
    private void MakeRoom(bool filled)
    {
        int count = _end - _start;
        int size = _buffer.Length;

        // A link that may send no more than a hello gets no more memory than one takes.
        int limit = Math.Max(_maxPacketBytes, _maxPacketBytes > LongestHello ? BufferBytes : FirstBufferBytes);
        if (filled && size < BufferBytes) size = Math.Min(BufferBytes, limit);
        else if (count == size) size = (int)Math.Min(2L * size, limit);
        else if (count == 0 && size > BufferBytes) size = BufferBytes;

        // The pool gives up to twice of what is asked for.
        byte[] from = _buffer;
        if (size > from.Length || size <= from.Length / 2) _buffer = ArrayPool<byte>.Shared.Rent(size);
        if (count > 0 && (_start > 0 || from != _buffer)) from.AsSpan(_start, count).CopyTo(_buffer);
        if (from != _buffer) ArrayPool<byte>.Shared.Return(from);
        _start = 0;
        _end = count;
    }

    private End DescribeEnd(int count, SocketError error, bool truncated)
    {
        int left = _end - _start;
        if (truncated) return new End("truncated: the connection ended without TLS's close_notify, so data may be missing");
        if (count < 0) return new End(error == SocketError.OperationAborted ? "closed" : new SocketException((int)error).Message);
        return left == 0
            ? new End("ended by the other side", Orderly: true)
            : new End($"ended by the other side in the middle of a packet, {left} bytes into it");
    }

    /// <summary>Why a receiver stopped.</summary>
    /// <param name="Reason">In words, for the log.</param>
    /// <param name="Orderly">The peer ended the stream between two packets.</param>
    /// <param name="Fault">The malformed header, if that was the reason.</param>
    internal readonly record struct End(string Reason, bool Orderly = false, PacketFault? Fault = null);
}
