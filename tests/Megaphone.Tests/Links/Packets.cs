using System.Text;
using Megaphone.Protocol;

namespace Megaphone.Tests.Links;

/// <summary>Packets as the tests write them.</summary>
internal static class Packets
{
    /// <summary>One packet, header and content.</summary>
    public static byte[] Of(ulong id, ReadOnlySpan<byte> content)
    {
        byte[] packet = new byte[PacketHeader.Size + content.Length];
        PacketHeader.Write(packet, packet.Length, id);
        content.CopyTo(packet.AsSpan(PacketHeader.Size));
        return packet;
    }

    /// <summary>One packet with text in it.</summary>
    public static byte[] Of(ulong id, string content) => Of(id, Encoding.UTF8.GetBytes(content));
}
