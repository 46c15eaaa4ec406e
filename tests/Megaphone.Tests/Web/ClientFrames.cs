using System.Buffers.Binary;
using System.Text;
using Megaphone.Web;

namespace Megaphone.Tests.Web;

/// <summary>Frames as a client sends them.</summary>
internal static class ClientFrames
{
    /// <summary>A frame with a mask, its length in the shortest form.</summary>
    public static byte[] Frame(int opcode, ReadOnlySpan<byte> payload, bool final = true, uint mask = 0x3D21FA37)
    {
        byte[] key = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(key, mask);
        List<byte> frame = [(byte)(opcode | (final ? 0x80 : 0))];
        if (payload.Length < 126)
        {
            frame.Add((byte)(0x80 | payload.Length));
        }
        else if (payload.Length < 1 << 16)
        {
            frame.AddRange([0x80 | 126, (byte)(payload.Length >> 8), (byte)payload.Length]);
        }
        else
        {
            byte[] length = new byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(length, (ulong)payload.Length);
            frame.Add(0x80 | 127);
            frame.AddRange(length);
        }

        frame.AddRange(key);
        for (int i = 0; i < payload.Length; i++) frame.Add((byte)(payload[i] ^ key[i % 4]));
        return [.. frame];
    }

    public static byte[] Text(string text, bool final = true) => Frame((int)Opcode.Text, Encoding.UTF8.GetBytes(text), final);

    public static byte[] More(string text, bool final = true) => Frame((int)Opcode.Continuation, Encoding.UTF8.GetBytes(text), final);

    public static byte[] Ping(string payload = "") => Frame((int)Opcode.Ping, Encoding.UTF8.GetBytes(payload));

    public static byte[] Pong(string payload = "") => Frame((int)Opcode.Pong, Encoding.UTF8.GetBytes(payload));

    public static byte[] Close(int? code = null, string reason = "") =>
        Frame((int)Opcode.Close, code is { } value ? [(byte)(value >> 8), (byte)value, .. Encoding.UTF8.GetBytes(reason)] : []);
}
