using System.Buffers.Binary;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>
/// Writes a client's frames (RFC 6455, section 5.2), in which its stream is as RFC 7395, section 3.3, has it: what is sent over TCP goes in.
/// Pure, no I/O.
/// </summary>
/// <remarks>The mask keeps a page's text from being taken for HTTP by what is between. No page chooses the text here, so any key will do.</remarks>
internal static class ClientFrame
{
    /// <summary>By how much a frame may be longer than what is in it.</summary>
    public const int MostMore = HeaderBytes + FramedStream.MostMore;

    private const int MaskBytes = 4;
    private const int HeaderBytes = WebSocketFrame.MaxHeaderBytes + MaskBytes;
    private const byte Masked = 0x80;

    /// <summary>Writes the frame that stands for a part of a client's stream.</summary>
    /// <param name="piece">
    /// The stream's header or end, or an element; white space, by which a client shows that it is there, is a ping; nothing, the end of its
    /// direction, is a close frame.
    /// </param>
    /// <param name="mask">The frame's key.</param>
    /// <param name="to">At least <see cref="MostMore"/> longer than the piece, which is below 60 KiB.</param>
    /// <returns>The frame, which is in there.</returns>
    public static ReadOnlySpan<byte> Write(ReadOnlySpan<byte> piece, uint mask, Span<byte> to)
    {
        Span<byte> payload = to[HeaderBytes..];
        if (piece.IsEmpty)
        {
            BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)CloseCode.Normal);
            return Complete(to, Opcode.Close, sizeof(ushort), mask);
        }

        bool isPing = piece.Trim(XmlBytes.WhiteSpace).IsEmpty;
        return Complete(to, isPing ? Opcode.Ping : Opcode.Text, isPing ? 0 : WriteMessage(piece, payload), mask);
    }

    /// <summary>Writes the answer to a ping.</summary>
    /// <inheritdoc cref="Write"/>
    public static ReadOnlySpan<byte> WritePong(ReadOnlySpan<byte> piece, uint mask, Span<byte> to)
    {
        piece.CopyTo(to[HeaderBytes..]);
        return Complete(to, Opcode.Pong, piece.Length, mask);
    }

    private static int WriteMessage(ReadOnlySpan<byte> piece, Span<byte> to)
    {
        if (XmlPiece.IsClosingTag(piece))
        {
            FramedStream.Close.CopyTo(to);
            return FramedStream.Close.Length;
        }

        if (XmlBytes.IsStream(piece[1..], out _)) return FramedStream.WriteOpen(piece, to);
        ReadOnlySpan<byte> missing = FramedStream.MissingNamespaces(piece, out int at);
        piece[..at].CopyTo(to);
        missing.CopyTo(to[at..]);
        piece[at..].CopyTo(to[(at + missing.Length)..]);
        return piece.Length + missing.Length;
    }

    /// <summary>Puts the header in front of a payload that is there, and the mask over it.</summary>
    private static ReadOnlySpan<byte> Complete(Span<byte> to, Opcode opcode, int length, uint mask)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        int written = WebSocketFrame.WriteHeader(header, opcode, isFinal: true, length);
        header[1] |= Masked;
        BinaryPrimitives.WriteUInt32LittleEndian(header[written..], mask);
        int start = HeaderBytes - written - MaskBytes;
        header[..(written + MaskBytes)].CopyTo(to[start..]);
        Mask.Remove(to.Slice(HeaderBytes, length), mask); // To remove it and to put it on is the same.
        return to[start..(HeaderBytes + length)];
    }
}
