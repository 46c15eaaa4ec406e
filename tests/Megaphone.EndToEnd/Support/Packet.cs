using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd.Support;

/// <summary>A packet of the link protocol: <c>LLLLLLLLLL|CCCCCCCCCCCCCCCCCCCC|content</c> (docs/protocol.md, section 1).</summary>
/// <param name="Id">The connection id; 0 for control.</param>
/// <param name="Content">The content.</param>
internal sealed record Packet(ulong Id, byte[] Content)
{
    /// <summary>Bytes in front of the content.</summary>
    public const int HeaderSize = 32;

    /// <summary>Whether it ends its sender's direction of the session.</summary>
    public bool IsEnd => Content.Length == 0;

    /// <summary>The content as ASCII text.</summary>
    public string Text => Encoding.ASCII.GetString(Content);

    /// <summary>The content as the JSON object that a control packet has.</summary>
    public JsonElement Json => JsonDocument.Parse(Content).RootElement;

    /// <summary>A packet of ASCII text.</summary>
    public static byte[] Format(ulong id, string content) => Format(id, Encoding.ASCII.GetBytes(content));

    /// <summary>A packet as it travels.</summary>
    public static byte[] Format(ulong id, ReadOnlySpan<byte> content)
    {
        byte[] packet = new byte[HeaderSize + content.Length];
        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{packet.Length:D10}|{id:D20}|"), packet);
        content.CopyTo(packet.AsSpan(HeaderSize));
        return packet;
    }
}
