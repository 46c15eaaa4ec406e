using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>Stanza framing (section 4 of the link protocol): one packet for each piece of a client's stream.</summary>
/// <remarks>Called for each client by its reactor only.</remarks>
internal sealed class StanzaFraming(EcmOptions options, PieceMemory memory, RoleMetrics metrics)
{
    /// <summary>The most that is read from a client at a time: enough for a busy one, and easy to find room for.</summary>
    private const int ReadBytes = 16 << 10;

    /// <summary>The shortest piece, <c>&lt;a/&gt;</c>.</summary>
    private const int ShortestPiece = 4;

    /// <summary>The most bytes in the ring that one received byte takes: its own, and its share of a header.</summary>
    private const int RingBytesPerByte = 1 + (PacketHeader.Size / ShortestPiece);

    private readonly StreamSplitter _splitter = new(memory);
    private readonly int[] _maxPieceBytes = options.GetMaxStanzaBytes();

    private readonly int _maxClaimBytes = Link.MaxClaimBytes(options.Link);

    /// <summary>The longest stanza for which a ring has room, with bytes to spare for reading its end.</summary>
    public static int LargestFor(LinkOptions link) => Math.Min(link.MaxPacketBytes - PacketHeader.Size, link.RingBytes / 4);

    /// <summary>Reads from a client and writes a packet for each complete piece.</summary>
    /// <param name="link">The client's link.</param>
    /// <param name="id">The client's id.</param>
    /// <param name="client">The client's state.</param>
    /// <param name="input">The client's socket.</param>
    /// <param name="fault">Why its stream is refused from now on; else null.</param>
    /// <returns>As <see cref="IConnectionHandler{TState}.OnReadable"/> does.</returns>
    public Outcome Read(Link link, ConnectionId id, ref EcmClient client, IConnectionInput input, out StreamFault? fault)
    {
        fault = null;
        int limit = ReadLimit(client);
        if (client.Stream.IsDiscarding) return Discard(input);

        // There must be room for whatever packets the next bytes make.
        if (!link.TryClaim(client.Stream.Length + limit, out RingClaim claim, packets: 1 + (limit / ShortestPiece))) return Outcome.WouldBlock;
        ReadOnlySpan<byte> bytes = input.Receive(limit);
        int max = _maxPieceBytes[client.Listener];
        int acceptedNow = input.IsAdmitted ? max : Math.Min(max, options.Limits.StanzaBytesBeforeLogin);
        int held = StreamSplitter.HeldBy(client.Stream, max);
        client.Stream.IsStranger = !input.IsAdmitted;
        bool committed = false;
        while (_splitter.Next(ref client.Stream, max, ref bytes, out ReadOnlySpan<byte> piece, out fault, acceptedNow) == StreamSplitter.Step.Piece)
        {
            // The configuration's check ensures that the longest stanza fits our own limit; the other side's may be lower.
            if (piece.Length > link.PeerMaxContent)
            {
                fault = _splitter.Refuse(ref client.Stream, max, StreamFaultKind.TooLong);
                break;
            }

            client.Open(metrics);
            claim.Commit(id.Value, piece);
            committed = true;
        }

        if (fault?.Kind == StreamFaultKind.TooLong && acceptedNow < max) metrics.AddLimited(Limit.BeforeLogin);

        // White space alone, or a part of a stanza, makes no packet: then no sender is woken.
        claim.Release();
        if (committed) PendingFlushes.Add(link);
        if (client.Stream.IsDiscarding) metrics.AddDropped(DropReason.StreamEnded);
        metrics.AddIncomplete(StreamSplitter.HeldBy(client.Stream, max) - held);
        return Outcome.Done;
    }

    /// <summary>
    /// Reads and drops what a client sends whose stream is over, so that a close does not reset the connection before the client has got its
    /// stream error, or the rest of what the server sent.
    /// </summary>
    public static Outcome Discard(IConnectionInput input)
    {
        input.Receive(ReadBytes);
        return Outcome.Done;
    }

    /// <summary>The memory that a client's incomplete piece takes, in bytes.</summary>
    public int HeldBy(in EcmClient client) => StreamSplitter.HeldBy(client.Stream, _maxPieceBytes[client.Listener]);

    /// <summary>Refuses a stream for a reason that is not in it, and frees what it has.</summary>
    public StreamFault Refuse(ref EcmClient client, StreamFaultKind reason)
    {
        metrics.AddIncomplete(-HeldBy(client));
        return _splitter.Refuse(ref client.Stream, _maxPieceBytes[client.Listener], reason);
    }

    /// <summary>Memory for incomplete pieces: one of the longest kind must find room, however much is kept for short ones.</summary>
    public static PieceMemory MemoryFor(EcmOptions options) =>
        new(options.IncompleteBytes, Math.Clamp(options.IncompleteBytes - options.GetMaxStanzaBytes().Max(), 0, options.IncompleteBytes / 4));

    /// <summary>Whether this end is to end a client on an occasion.</summary>
    public static bool MustEnd(ref EcmClient client, CloseOccasion occasion) =>
        !client.Stream.IsRefused && (occasion != CloseOccasion.Look || IsStuck(ref client));

    /// <summary>Whether a client is within the same piece as when this was called last; called for each, now and then.</summary>
    private static bool IsStuck(ref EcmClient client)
    {
        bool isStuck = client.Stream is { IsWithinPiece: true, IsStale: true };
        client.Stream.IsStale = client.Stream.IsWithinPiece;
        return isStuck;
    }

    /// <summary>Ends a stream whose link is lost: nothing more is accepted from it.</summary>
    public void Abandon(ref EcmClient client)
    {
        End(ref client);
        client.Stream.Lexer = LexerState.Refused;
    }

    /// <summary>
    /// Drops and counts an incomplete piece and frees its memory, when the client has ended its direction or is closed.
    /// </summary>
    public void End(ref EcmClient client)
    {
        if (!client.Stream.IsWithinPiece) return;
        int max = _maxPieceBytes[client.Listener];
        metrics.AddDropped(DropReason.Incomplete);
        metrics.AddIncomplete(-StreamSplitter.HeldBy(client.Stream, max));
        _splitter.Release(ref client.Stream, max);
    }

    /// <summary>Gives a stream that was handed over a copy of what it held.</summary>
    /// <returns>False when it cannot be.</returns>
    public bool TryRestore(ref EcmClient client, ReadOnlySpan<byte> held)
    {
        int max = _maxPieceBytes[client.Listener];
        bool isRestored = _splitter.TryRestore(ref client.Stream, max, held);
        if (isRestored) metrics.AddIncomplete(StreamSplitter.HeldBy(client.Stream, max));
        return isRestored;
    }

    /// <summary>How many bytes can be read so that the ring has room for the packets they make, the incomplete piece included.</summary>
    private int ReadLimit(in EcmClient client) =>
        Math.Min(ReadBytes, (_maxClaimBytes - RingClaim.BytesFor(client.Stream.Length)) / RingBytesPerByte);
}
