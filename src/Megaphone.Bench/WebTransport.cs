using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>Carries XMPP clients to the server over a WebSocket each (RFC 6455, RFC 7395).</summary>
internal sealed class WebTransport : TcpTransport
{
    /// <summary>The longest message that a server may send.</summary>
    private const int MaxMessageBytes = 1 << 20;

    /// <summary>For messages that arrive in parts.</summary>
    private const long PieceMemoryBytes = 256L << 20;

    private readonly WebHandshake _handshake;
    private readonly WebSocketReader _reader = new(new PieceMemory(PieceMemoryBytes), isMasked: false);
    private readonly WebClient[] _sockets;
    private readonly TimeSpan _openAfter;

    /// <summary>Clients that wait before they open their stream, and since when.</summary>
    private readonly ConcurrentQueue<(int Index, long Since)> _waiting = [];

    /// <summary>Reserves room for the connections; nothing is connected yet.</summary>
    /// <param name="options">How they are opened, with a path.</param>
    /// <param name="clients">The clients.</param>
    public WebTransport(XmppBenchOptions options, XmppClients clients)
        : base(options.Tcp, clients)
    {
        _handshake = new WebHandshake(options.Tcp.To, options.WebPath!);
        _openAfter = options.OpenAfter;
        _sockets = new WebClient[clients.Sessions.Count];
    }

    /// <inheritdoc/>
    public override bool TrySend(int index, ReadOnlySpan<byte> piece)
    {
        // What ends before it is a WebSocket ends as a connection does.
        if (Volatile.Read(ref _sockets[index].IsUpgraded))
        {
            byte[] room = ArrayPool<byte>.Shared.Rent(piece.Length + ClientFrame.MostMore);
            SendBytes(index, ClientFrame.Write(piece, NewMask(), room));
            ArrayPool<byte>.Shared.Return(room);
        }

        if (piece.IsEmpty) EndWrite(index);
        return true;
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        base.Flush();
        while (_waiting.TryPeek(out (int Index, long Since) first) && Stopwatch.GetElapsedTime(first.Since) >= _openAfter)
        {
            _waiting.TryDequeue(out _);
            TrySend(first.Index, Clients.Header);
        }
    }

    /// <inheritdoc/>
    public override void Connected(int index) => SendBytes(index, _handshake.Request(index));

    /// <inheritdoc/>
    public override void Received(int index, Span<byte> bytes)
    {
        if (Clients.Sessions[index].IsUnknown) return;
        if (bytes.IsEmpty) Clients.Receive(this, index, []);
        else if (_sockets[index].IsUpgraded) ReadFrames(index, bytes);
        else ReadAnswer(index, bytes);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        for (int i = 0; i < _sockets.Length; i++) _reader.Release(ref _sockets[i].Input, MaxMessageBytes);
    }

    private static uint NewMask() => (uint)Random.Shared.NextInt64();

    private void ReadAnswer(int index, ReadOnlySpan<byte> bytes)
    {
        ref WebClient socket = ref _sockets[index];
        byte[] received = [.. socket.Answer ?? [], .. bytes];
        int end = received.AsSpan().IndexOf("\r\n\r\n"u8);
        socket.Answer = end < 0 ? received : null;
        if (end < 0 && received.Length <= WebHandshake.MaxAnswerBytes) return;
        string? problem = end < 0
            ? $"the head of the server's answer exceeds {WebHandshake.MaxAnswerBytes} bytes"
            : _handshake.Check(index, received.AsSpan(0, end));
        if (problem is not null)
        {
            Fail(index, problem);
            return;
        }

        Volatile.Write(ref socket.IsUpgraded, true);
        if (_openAfter > TimeSpan.Zero) _waiting.Enqueue((index, Stopwatch.GetTimestamp()));
        else TrySend(index, Clients.Header);
        ReadFrames(index, received.AsSpan(end + 4));
    }

    private void ReadFrames(int index, Span<byte> bytes)
    {
        ref WebClient socket = ref _sockets[index];
        while (!Clients.Sessions[index].IsUnknown)
        {
            switch (_reader.Next(ref socket.Input, MaxMessageBytes, ref bytes, out ReadOnlySpan<byte> payload, out CloseCode fault))
            {
                case WebSocketReader.Step.Message:
                    Hear(index, ref socket.Input.Stream, payload);
                    break;
                case WebSocketReader.Step.Ping:
                    AnswerPing(index, payload);
                    break;
                case WebSocketReader.Step.Close:
                    Clients.Receive(this, index, []);
                    break;
                case WebSocketReader.Step.Refused:
                    Fail(index, $"the server sent frames that are closed with {(int)fault}");
                    break;
                default:
                    return;
            }
        }
    }

    private void AnswerPing(int index, ReadOnlySpan<byte> payload)
    {
        Span<byte> room = stackalloc byte[FrameHeader.MaxControlPayload + ClientFrame.MostMore];
        SendBytes(index, ClientFrame.WritePong(payload, NewMask(), room));
    }

    /// <summary>Passes a message on as it would be over TCP.</summary>
    private void Hear(int index, ref FramedLife life, ReadOnlySpan<byte> message)
    {
        switch (FramedStream.Read(message, ref life, out ReadOnlySpan<byte> piece, out StreamFault? fault))
        {
            case FramedMessage.Open:
                byte[] header = new byte[piece.Length + FramedStream.MostMore];
                Clients.Receive(this, index, header.AsSpan(0, FramedStream.WriteHeader(piece, header)));
                break;
            case FramedMessage.Close:
                Clients.Receive(this, index, FramedStream.End);
                break;
            case FramedMessage.Element:
                Clients.Receive(this, index, piece);
                break;
            case FramedMessage.Fault:
                Fail(index, $"the server sent a message that is no XMPP: {fault!.Reason}");
                break;
        }
    }

    private void Fail(int index, string problem)
    {
        Clients.Lose(index, problem);
        EndWrite(index);
    }
}
