using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>Makes text frames from what a server sends to a WebSocket client.</summary>
/// <remarks>
/// The server's stream is cut into pieces however its packets are cut, and each piece is a message that stands by itself. Between two pieces
/// nothing of a stream is kept but where it is.
/// </remarks>
internal sealed class WebSocketOutput(WebSlots slots, ReactorGroup<EcmClient> clients, EcmOptions options, PieceMemory memory, RoleMetrics metrics)
{
    /// <summary>An <c>&lt;open/&gt;</c> of usual length, for which nothing is allocated.</summary>
    private const int UsualOpenBytes = 1024;

    private readonly StreamSplitter _splitter = new(memory);

    /// <summary>A longer piece could not wait for a slow client either.</summary>
    private readonly int _maxPieceBytes = options.Buffers.LimitBytes;

    /// <summary>Whether an id is that of a connection for the web, so that its packets are for <see cref="TryDeliver"/>.</summary>
    public bool Has(ConnectionId id) => slots.Has(id);

    /// <summary>Sends what a packet has to its client; an empty one is the end of the session. The thread of the session's link.</summary>
    /// <returns>False when the client is no WebSocket, or is closed, or has ended.</returns>
    public bool TryDeliver(ConnectionId id, int owner, ReadOnlySpan<byte> content)
    {
        ref WebSlot slot = ref slots[id];
        slot.Enter();
        try
        {
            if (slot.Generation != id.Generation || slot.Phase != WebPhase.WebSocket || slot.Server.IsRefused) return false;
            if (content.IsEmpty) return clients.Send(id, owner, WebSocketFrame.Close(CloseCode.Normal)) && clients.EndWrite(id, owner);
            return TrySendPieces(id, owner, ref slot, content);
        }
        finally
        {
            slot.Exit();
        }
    }

    /// <summary>Gives a server's stream that was handed over a copy of what it held.</summary>
    /// <returns>False when it cannot be, or there is no memory.</returns>
    public bool TryRestore(ref StreamState server, ReadOnlySpan<byte> held)
    {
        bool isRestored = _splitter.TryRestore(ref server, _maxPieceBytes, held);
        if (isRestored) metrics.AddIncomplete(StreamSplitter.HeldBy(server, _maxPieceBytes));
        return isRestored;
    }

    /// <summary>Forgets a connection that is closed.</summary>
    public void Forget(ConnectionId id)
    {
        ref WebSlot slot = ref slots[id];
        slot.Enter();
        if (slot.Generation == id.Generation)
        {
            metrics.AddIncomplete(-StreamSplitter.HeldBy(slot.Server, _maxPieceBytes));
            _splitter.Release(ref slot.Server, _maxPieceBytes);
            slot.Phase = WebPhase.None;
            Volatile.Write(ref slot.Generation, 0);
        }

        slot.Exit();
    }

    /// <summary>The last frames that a client is sent: those of a stream's end, or of a whole stream, and a close frame.</summary>
    /// <param name="end">The end, as over TCP; empty: there is none.</param>
    /// <param name="hasOpened">Whether the client has been sent <c>&lt;open/&gt;</c>; if not, it gets one in front of the end.</param>
    /// <param name="code">That of the close frame.</param>
    public static byte[] LastFrames(byte[] end, bool hasOpened, CloseCode code)
    {
        byte[] stream = hasOpened || end.Length == 0 ? end : [.. StreamErrorText.NewHeader(), .. end];
        return [.. FramesOf(stream, hasOpened), .. WebSocketFrame.Close(code)];
    }

    private static byte[] FramesOf(ReadOnlySpan<byte> stream, bool isOpen)
    {
        StreamState state = isOpen ? new StreamState { Depth = 1 } : default;
        StreamSplitter splitter = new(new PieceMemory(0));
        using MemoryStream frames = new();
        while (splitter.Next(ref state, stream.Length, ref stream, out ReadOnlySpan<byte> piece, out _) == StreamSplitter.Step.Piece)
        {
            if (IsTag(piece, out bool isEnd))
            {
                byte[] tag = new byte[piece.Length + FramedStream.MostMore];
                frames.Write(WebSocketFrame.Text(isEnd ? FramedStream.Close : tag.AsSpan(0, FramedStream.WriteOpen(piece, tag))));
            }
            else
            {
                ReadOnlySpan<byte> missing = FramedStream.MissingNamespaces(piece, out int at);
                frames.Write(WebSocketFrame.Text((byte[])[.. piece[..at], .. missing, .. piece[at..]]));
            }
        }

        return frames.ToArray();
    }

    private bool TrySendPieces(ConnectionId id, int owner, ref WebSlot slot, ReadOnlySpan<byte> unread)
    {
        slot.SilentLooks = 0;
        int held = StreamSplitter.HeldBy(slot.Server, _maxPieceBytes);
        FrameBatch frames = new(clients, id, owner);
        StreamFault? fault = null;
        while (fault is null
            && _splitter.Next(ref slot.Server, _maxPieceBytes, ref unread, out ReadOnlySpan<byte> piece, out fault) == StreamSplitter.Step.Piece)
        {
            if (!IsTag(piece, out bool isEnd))
            {
                ReadOnlySpan<byte> missing = FramedStream.MissingNamespaces(piece, out int at);
                frames.Add(piece[..at], missing, piece[at..]);
            }
            else if (isEnd)
            {
                frames.Add(FramedStream.Close, default, default);
            }
            else if (TryAddOpen(ref frames, piece))
            {
                slot.HasOpened = true;
            }
            else
            {
                fault = _splitter.Refuse(ref slot.Server, _maxPieceBytes, StreamFaultKind.NoStreamHeader);
            }
        }

        metrics.AddIncomplete(StreamSplitter.HeldBy(slot.Server, _maxPieceBytes) - held);
        bool isAccepted = frames.Flush();
        if (fault is null) return isAccepted;
        clients.Abort(id, owner, fault.Kind switch
        {
            StreamFaultKind.TooLong => CloseReason.BufferLimit,
            StreamFaultKind.NoMemory => CloseReason.BufferTotal,
            _ => CloseReason.InvalidOutput,
        });
        return false;
    }

    private static bool TryAddOpen(ref FrameBatch frames, scoped ReadOnlySpan<byte> header)
    {
        int most = header.Length + FramedStream.MostMore;
        Span<byte> open = most <= UsualOpenBytes ? stackalloc byte[UsualOpenBytes] : new byte[most];
        int length = FramedStream.WriteOpen(header, open);
        if (length > 0) frames.Add(open[..length], default, default);
        return length > 0;
    }

    /// <summary>Whether a piece is the stream's header or end.</summary>
    private static bool IsTag(ReadOnlySpan<byte> piece, out bool isEnd)
    {
        isEnd = piece[1] == '/';
        return isEnd || XmlBytes.IsStream(piece[1..], out _);
    }
}
