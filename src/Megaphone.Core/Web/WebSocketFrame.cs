using System.Buffers.Binary;
using System.Text.Unicode;

namespace Megaphone.Web;

/// <summary>Writes the server's frames, which have no mask: RFC 6455, section 5.2.</summary>
internal static class WebSocketFrame
{
    /// <summary>The longest header of a payload below 64 KiB.</summary>
    public const int MaxHeaderBytes = 4;

    /// <summary>The longest frame that <see cref="WriteControl"/> writes.</summary>
    public const int MaxControlBytes = 2 + FrameHeader.MaxControlPayload;

    /// <summary>A ping without a payload.</summary>
    public static ReadOnlySpan<byte> EmptyPing => [0x80 | (byte)Opcode.Ping, 0];

    /// <summary>Writes a header.</summary>
    /// <param name="to">At least <see cref="MaxHeaderBytes"/>.</param>
    /// <param name="opcode">The kind of the frame.</param>
    /// <param name="isFinal">Whether it ends its message.</param>
    /// <param name="payloadLength">Below 64 KiB.</param>
    /// <returns>The bytes written.</returns>
    public static int WriteHeader(Span<byte> to, Opcode opcode, bool isFinal, int payloadLength)
    {
        to[0] = (byte)((byte)opcode | (isFinal ? 0x80 : 0));
        if (payloadLength < 126)
        {
            to[1] = (byte)payloadLength;
            return 2;
        }

        to[1] = 126;
        BinaryPrimitives.WriteUInt16BigEndian(to[2..], (ushort)payloadLength);
        return 4;
    }

    /// <summary>Writes a control frame.</summary>
    /// <param name="to">At least <see cref="MaxControlBytes"/>.</param>
    /// <param name="opcode">Its kind.</param>
    /// <param name="payload">At most <see cref="FrameHeader.MaxControlPayload"/> bytes.</param>
    /// <returns>The frame.</returns>
    public static ReadOnlySpan<byte> WriteControl(Span<byte> to, Opcode opcode, ReadOnlySpan<byte> payload)
    {
        int header = WriteHeader(to, opcode, isFinal: true, payload.Length);
        payload.CopyTo(to[header..]);
        return to[..(header + payload.Length)];
    }

    /// <summary>A close frame; without a code it has no payload.</summary>
    public static byte[] Close(CloseCode code)
    {
        const byte First = 0x80 | (byte)Opcode.Close;
        return code == CloseCode.None ? [First, 0] : [First, 2, (byte)((int)code >> 8), (byte)code];
    }

    /// <summary>A text message in one frame.</summary>
    /// <param name="text">Below 64 KiB.</param>
    public static byte[] Text(ReadOnlySpan<byte> text)
    {
        byte[] frame = new byte[MaxHeaderBytes + text.Length];
        int header = WriteHeader(frame, Opcode.Text, isFinal: true, text.Length);
        text.CopyTo(frame.AsSpan(header));
        return frame[..(header + text.Length)];
    }

    /// <summary>The code with which a client's close frame is answered: its own, or why it is wrong (RFC 6455, sections 5.5.1 and 7.4).</summary>
    /// <param name="payload">Of the client's frame.</param>
    public static CloseCode AnswerTo(ReadOnlySpan<byte> payload)
    {
        if (payload.IsEmpty) return CloseCode.None;
        if (payload.Length == 1) return CloseCode.ProtocolError;
        int code = BinaryPrimitives.ReadUInt16BigEndian(payload);
        bool isAllowed = code is >= 1000 and <= 1003 or >= 1007 and <= 1014 or >= 3000 and <= 4999;
        if (!isAllowed) return CloseCode.ProtocolError;
        return Utf8.IsValid(payload[2..]) ? (CloseCode)code : CloseCode.InvalidData;
    }
}
