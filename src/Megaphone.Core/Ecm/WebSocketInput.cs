using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>Passes a WebSocket client's messages to its link, one packet for each (section 4 of the link protocol).</summary>
/// <remarks>Called for each client by its reactor only.</remarks>
internal sealed class WebSocketInput(
    EcmOptions options, WebSlots slots, ReactorGroup<EcmClient> clients, PieceMemory memory, RoleMetrics metrics, SessionLog log)
{
    /// <summary>The most that is read from a client at a time.</summary>
    private const int ReadBytes = 16 << 10;

    /// <summary>The shortest element, <c>&lt;a/&gt;</c>, in its frame.</summary>
    private const int ShortestMessage = 10;

    /// <summary>The most bytes in the ring that one received byte takes: its own, and its share of a header.</summary>
    private const int RingBytesPerByte = 1 + ((PacketHeader.Size + ShortestMessage - 1) / ShortestMessage);

    /// <summary>The longest <c>&lt;open/&gt;</c>: with a few attributes it has 200 bytes.</summary>
    private const int MaxOpenBytes = 8 << 10;

    private readonly WebSocketReader _reader = new(memory);
    private readonly int[] _maxMessage = options.GetMaxStanzaBytes();
    private readonly int _maxClaimBytes = Link.MaxClaimBytes(options.Link);

    /// <summary>Reads from a client, and writes a packet for each of its messages.</summary>
    /// <returns>As <see cref="IConnectionHandler{TState}.OnReadable"/> does.</returns>
    public Outcome Read(Link link, ConnectionId id, ref EcmClient client, IConnectionInput input)
    {
        int used = client.Web.Used;
        int limit = Math.Min(ReadBytes, (_maxClaimBytes - RingClaim.BytesFor(used + FramedStream.MostMore)) / RingBytesPerByte);
        if (!link.TryClaim(used + limit + FramedStream.MostMore, out RingClaim claim, packets: 1 + (limit / ShortestMessage)))
            return Outcome.WouldBlock;
        Span<byte> unread = input.Receive(limit);
        int max = _maxMessage[client.Listener];
        int acceptedNow = input.IsAdmitted ? max : Math.Min(max, options.Limits.StanzaBytesBeforeLogin);
        int held = WebSocketReader.HeldBy(client.Web, max);
        client.Web.IsStranger = !input.IsAdmitted;
        ref WebSlot slot = ref slots[id];
        slot.SilentLooks = 0;
        bool committed = false;
        Span<byte> pong = stackalloc byte[WebSocketFrame.MaxControlBytes];
        int pongLength = 0;
        CloseCode? close = null;
        StreamFault? fault = null;
        WebSocketReader.Step step = WebSocketReader.Step.Message;
        while (fault is null && close is null && step != WebSocketReader.Step.Incomplete)
        {
            step = _reader.Next(ref client.Web, max, ref unread, out ReadOnlySpan<byte> payload, out CloseCode refusal, acceptedNow);
            switch (step)
            {
                case WebSocketReader.Step.Message:
                    slot.IsStale = false;
                    committed |= TryPass(link, id, ref client, payload, ref claim, out fault);
                    break;
                case WebSocketReader.Step.Ping:
                    // Of several only the last need be answered (RFC 6455, section 5.5.3), so pings cost no more than they bring.
                    pongLength = WebSocketFrame.WriteControl(pong, Opcode.Pong, payload).Length;
                    break;
                case WebSocketReader.Step.Close:
                    close = WebSocketFrame.AnswerTo(payload);
                    break;
                case WebSocketReader.Step.Refused:
                    close = refusal;
                    break;
            }
        }

        if (close == CloseCode.TooLong && step == WebSocketReader.Step.Refused && acceptedNow < max) metrics.AddLimited(Limit.BeforeLogin);
        claim.Release();
        if (committed) PendingFlushes.Add(link);
        if (pongLength > 0 && !slot.IsSlow) clients.Send(id, link.Number, pong[..pongLength]);
        if (fault is not null) Refuse(id, link, ref client, fault);
        else if (close is { } code && step == WebSocketReader.Step.Close) End(id, link, ref client, code);
        else if (close is { } violation) Refuse(id, link, ref client, violation);
        metrics.AddIncomplete(WebSocketReader.HeldBy(client.Web, max) - held);
        return Outcome.Done;
    }

    /// <summary>The memory that a client's incomplete message takes, in bytes.</summary>
    public int HeldBy(in EcmClient client) => WebSocketReader.HeldBy(client.Web, _maxMessage[client.Listener]);

    /// <summary>Refuses a client for want of memory, and frees what it has.</summary>
    public void GiveWay(Link link, ConnectionId id, ref EcmClient client)
    {
        metrics.AddIncomplete(-HeldBy(client));
        Refuse(id, link, ref client, CloseCode.TryAgainLater);
    }

    /// <summary>Drops and counts an incomplete message, and reads no more.</summary>
    public void Abandon(ref EcmClient client)
    {
        int max = _maxMessage[client.Listener];
        int held = WebSocketReader.HeldBy(client.Web, max);
        if (held > 0)
        {
            metrics.AddDropped(DropReason.Incomplete);
            metrics.AddIncomplete(-held);
        }

        _reader.Release(ref client.Web, max);
    }

    /// <summary>Gives the input of a WebSocket that was handed over a copy of what it held.</summary>
    /// <returns>False when it cannot be, or there is no memory.</returns>
    public bool TryRestore(ref EcmClient client, ReadOnlySpan<byte> held)
    {
        int max = _maxMessage[client.Listener];
        bool isRestored = _reader.TryRestore(ref client.Web, max, held);
        if (isRestored) metrics.AddIncomplete(WebSocketReader.HeldBy(client.Web, max));
        return isRestored;
    }

    /// <summary>Passes a message on.</summary>
    /// <returns>Whether a packet was written.</returns>
    private bool TryPass(Link link, ConnectionId id, ref EcmClient client, ReadOnlySpan<byte> message, ref RingClaim claim, out StreamFault? fault)
    {
        FramedMessage kind = FramedStream.Read(message, ref client.Web.Stream, out ReadOnlySpan<byte> element, out fault);
        scoped ReadOnlySpan<byte> piece = element;
        Span<byte> header = stackalloc byte[kind == FramedMessage.Open && piece.Length <= MaxOpenBytes ? piece.Length + FramedStream.MostMore : 0];
        switch (kind)
        {
            case FramedMessage.Element:
                break;
            case FramedMessage.Open when header.IsEmpty:
                fault = new StreamFault(StreamFaultKind.TooLong, MaxOpenBytes);
                return false;
            case FramedMessage.Open:
                piece = header[..FramedStream.WriteHeader(piece, header)];
                break;
            case FramedMessage.Close:
                piece = FramedStream.End;
                break;
            default:
                return false;
        }

        // The configuration's check ensures that the longest stanza fits our own limit; the other side's may be lower.
        if (piece.Length > link.PeerMaxContent)
        {
            fault = new StreamFault(StreamFaultKind.TooLong, link.PeerMaxContent);
            return false;
        }

        client.Open(metrics);
        claim.Commit(id.Value, piece);
        return true;
    }

    /// <summary>
    /// The client has ended its WebSocket in order: it is answered, and its session ends as with a FIN. If there is no room for that now the
    /// server is told when the connection ends.
    /// </summary>
    private void End(ConnectionId id, Link link, ref EcmClient client, CloseCode code)
    {
        SendLast(id, link, ref client, WebPhase.Closing, [], code);
        if (client.Life.IsOpened) client.Life.TrySendEnd(link, id.Value);
    }

    /// <summary>Ends a session whose client violated XMPP: it gets the stream error, <c>&lt;close/&gt;</c> and a close frame.</summary>
    public void Refuse(ConnectionId id, Link link, ref EcmClient client, StreamFault fault)
    {
        log.Refused(id, fault);
        metrics.AddStreamError(fault.Condition);
        Refuse(id, link, ref client, StreamErrorText.ErrorAndEnd(fault.Condition), CloseCode.Normal);
    }

    /// <summary>Ends a session whose client violated the WebSocket protocol, or the bounds of this end.</summary>
    private void Refuse(ConnectionId id, Link link, ref EcmClient client, CloseCode code)
    {
        log.Refused(id, code);
        Refuse(id, link, ref client, [], code);
    }

    private void Refuse(ConnectionId id, Link link, ref EcmClient client, byte[] end, CloseCode code)
    {
        SendLast(id, link, ref client, WebPhase.Refused, end, code);
        if (!client.Life.IsOpened) return;

        // If there is no room now, the server is told when the client is closed.
        metrics.AddSessionClosed(CloseReason.StreamError);
        client.Life.TrySendClose(link, id.Value, CloseReason.StreamError);
    }

    /// <summary>Sends the last frames there will be, and never between two fragments of what the server has sent.</summary>
    private void SendLast(ConnectionId id, Link link, ref EcmClient client, WebPhase phase, byte[] end, CloseCode code)
    {
        _reader.Release(ref client.Web, _maxMessage[client.Listener]);
        ref WebSlot slot = ref slots[id];
        slot.Enter();
        slot.Phase = phase;
        CloseReason reason = phase == WebPhase.Refused ? CloseReason.StreamError : CloseReason.Ended;
        clients.SendLast(id, link.Number, default, WebSocketOutput.LastFrames(end, slot.HasOpened, code), reason);
        slot.Exit();
    }
}
