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

    /// <summary>Reserves room in the ring for whatever the next bytes of a client may turn out to be.</summary>
    /// <returns>How many bytes may be read; 0: there is no room now.</returns>
    public int Reserve(Link link, in EcmClient client)
    {
        int readable = Readable(client);
        return MeansNothing(client) || link.TryAcquire(Room(client, readable)) ? readable : 0;
    }

    /// <summary>Takes what was read, and gives back what is left of the room reserved.</summary>
    /// <returns>Why the client's stream is refused, from here on; else null.</returns>
    public StreamFault? Receive(Link link, ConnectionId id, ref EcmClient client, ReadOnlySpan<byte> bytes)
    {
        if (MeansNothing(client)) return null;

        int max = _maxPieceBytes[client.Listener];
        int held = StreamSplitter.HeldBy(client.Stream, max);
        int room = Room(client, Readable(client));
        int used = 0;
        StreamFault? fault;
        while (_splitter.Next(ref client.Stream, max, ref bytes, out ReadOnlySpan<byte> piece, out fault) == SplitStep.Piece)
        {
            // Configuration makes sure that the longest stanza fits what we would take; the other side may take less.
            if (piece.Length > link.PeerMaxContent)
            {
                fault = _splitter.Refuse(ref client.Stream, max, StreamFaultKind.TooLong);
                break;
            }

            client.Open(metrics);
            link.Write(id.Value, piece);
            used += PacketHeader.Size + piece.Length;
        }

        // The room was acquired as that of one packet, header included, and so it is given back. White space alone, or a part
        // of a stanza, makes no packet: then nobody is woken.
        if (used > 0)
        {
            link.Return(room, used - PacketHeader.Size);
            FlushBatch.Add(link);
        }
        else
        {
            link.Return(room);
        }

        if (client.Stream.IsDeaf) metrics.AddDropped(DropReason.StreamEnded);
        metrics.AddIncomplete(StreamSplitter.HeldBy(client.Stream, max) - held);
        return fault;
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
    private static bool MeansNothing(in EcmClient client) => client.Stream.IsRefused || client.Stream.IsDeaf;

    /// <summary>How many bytes can be read so that the ring has room for them, with what is incomplete already.</summary>
    private int Readable(in EcmClient client) =>
        Math.Min(ReadBytes, (_mostRoom - client.Stream.Length - PacketHeader.Size) / RingBytesPerByte);

    /// <summary>The room for packets with so many bytes and what is incomplete already, as content of one packet.</summary>
    private static int Room(in EcmClient client, int readable) => client.Stream.Length + (RingBytesPerByte * readable);
}
