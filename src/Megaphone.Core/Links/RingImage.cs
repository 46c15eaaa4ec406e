using Megaphone.Handover;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>A ring as it is handed over: what the other end has not acknowledged, packet by packet.</summary>
internal static class RingImage
{
    /// <summary>Writes it. Nobody writes into the ring or sends from it.</summary>
    public static void Save(SendRing ring, StateWriter writer)
    {
        (long start, long offered) = ring.GetKept(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
        writer.Write(start);
        writer.Write(offered);
        writer.WriteBytes(second.IsEmpty ? first : [.. first, .. second]);
    }

    /// <summary>Reads it into a ring that is new and as large as the other was.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static void Restore(SendRing ring, StateReader reader)
    {
        long start = reader.Read<long>(), offered = reader.Read<long>();
        reader.Check(start >= 0 && offered >= start, "where a ring begins");
        ring.BeginAt(start);
        ReadOnlySpan<byte> packets = reader.ReadBytes(int.MaxValue, "what a ring holds");
        while (!packets.IsEmpty)
        {
            RingClaim claim = default;
            PacketHeader header = default;
            bool isPacket = packets.Length >= PacketHeader.Size
                && PacketHeader.TryParse(packets, packets.Length, out header) && header.Length <= packets.Length
                && ring.TryClaimReserve(header.Length - PacketHeader.Size, out claim, isAck: true);
            reader.Check(isPacket, "a packet in a ring");
            claim.Commit(header.ConnectionId, packets[PacketHeader.Size..header.Length]);
            packets = packets[header.Length..];
        }

        reader.Check(ring.TryOffer(offered), "what of a ring is sent");
    }
}
