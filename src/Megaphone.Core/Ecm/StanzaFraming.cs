using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>Stanza framing (section 4 of the link protocol): one packet for each piece of a client's stream.</summary>
/// <remarks>For each client called by its reactor only.</remarks>
internal sealed class StanzaFraming(EcmOptions options, RoleMetrics metrics)
{
    /// <summary>What is read from a client at a time: enough for a busy one, and little to find room for.</summary>
    private const int ReadBytes = 16 << 10;

    /// <summary>The shortest piece, <c>&lt;a/&gt;</c>.</summary>
    private const int ShortestPiece = 4;

    /// <summary>A byte that is read costs at most so many in the ring: its own, and its share of a header.</summary>
    private const int RingBytesPerByte = 1 + (PacketHeader.Size / ShortestPiece);

    private readonly StreamSplitter _splitter = new(new PieceMemory(options.IncompleteBytes));
    private readonly int[] _maxPieceBytes = [.. options.Clients.Select(listener => listener.MaxStanzaBytes)];

    /// <summary>What may be asked of a ring: half of what it has beside its reserve, which is a quarter of it or less.</summary>
    private readonly int _mostRoom = options.Link.RingBytes / 8 * 3;

    /// <summary>The longest stanza for which a ring has room, and bytes beside it to read its end with.</summary>
    public static int LargestFor(LinkOptions link) => Math.Min(link.MaxPacketBytes - PacketHeader.Size, link.RingBytes / 4);

    /// <summary>Reads from a client and writes what packets that makes.</summary>
    /// <param name="link">The client's link.</param>
    /// <param name="id">Its id.</param>
    /// <param name="client">What is kept of it.</param>
    /// <param name="input">What it sends.</param>
    /// <param name="fault">Why its stream is refused, from here on; else null.</param>
    /// <returns>As <see cref="IConnectionHandler{TState}.OnReadable"/> does.</returns>
    public Outcome Read(Link link, ConnectionId id, ref EcmClient client, IConnectionInput input, out StreamFault? fault)
    {
        fault = null;
        int readable = Readable(client);
        if (IsDiscarding(client))
        {
            input.Receive(readable);
            return Outcome.Done;
        }

        // Whatever the next bytes may turn out to be, there must be room for it.
        if (!link.TryClaim(client.Stream.Length + readable, out RingClaim claim, packets: 1 + (readable / ShortestPiece))) return Outcome.WouldBlock;
        ReadOnlySpan<byte> bytes = input.Receive(readable);
        int max = _maxPieceBytes[client.Listener];
        int held = StreamSplitter.HeldBy(client.Stream, max);
        bool committed = false;
        while (_splitter.Next(ref client.Stream, max, ref bytes, out ReadOnlySpan<byte> piece, out fault) == SplitStep.Piece)
        {
            // Configuration makes sure that the longest stanza fits what we would take; the other side may take less.
            if (piece.Length > link.PeerMaxContent)
            {
                fault = _splitter.Refuse(ref client.Stream, max, StreamFaultKind.TooLong);
                break;
            }

            client.Open(metrics);
            claim.Commit(id.Value, piece);
            committed = true;
        }

        // White space alone, or a part of a stanza, makes no packet: then nobody is woken.
        claim.Release();
        if (committed) PendingFlushes.Add(link);
        if (client.Stream.IsDiscarding) metrics.AddDropped(DropReason.StreamEnded);
        metrics.AddIncomplete(StreamSplitter.HeldBy(client.Stream, max) - held);
        return Outcome.Done;
    }

    /// <summary>
    /// The client will say nothing more, or is closed: what has not arrived whole is dropped and counted, and its memory freed.
    /// </summary>
    public void End(ref EcmClient client)
    {
        if (!client.Stream.IsWithinPiece) return;
        int max = _maxPieceBytes[client.Listener];
        metrics.AddDropped(DropReason.Incomplete);
        metrics.AddIncomplete(-StreamSplitter.HeldBy(client.Stream, max));
        _splitter.Release(ref client.Stream, max);
    }

    /// <summary>
    /// Whether what comes is read only so that the kernel lets the client have what it is still to get: its error after a fault, or
    /// the server's last words after its own.
    /// </summary>
    private static bool IsDiscarding(in EcmClient client) => client.Stream.IsRefused || client.Stream.IsDiscarding;

    /// <summary>How many bytes can be read so that a ring has room for what they make, with what is incomplete already.</summary>
    private int Readable(in EcmClient client) =>
        Math.Min(ReadBytes, (_mostRoom - RingClaim.BytesFor(client.Stream.Length)) / RingBytesPerByte);
}
