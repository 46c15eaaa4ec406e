using System.Buffers.Binary;

namespace Megaphone.Web;

/// <summary>The header of a frame that was received: RFC 6455, section 5.2.</summary>
/// <remarks>
/// <code>
/// FIN (1 bit) RSV (3) opcode (4)   MASK (1 bit) length (7)   [ length (16 or 64 bits), if those 7 are 126 or 127 ]   mask (4 bytes)
/// </code>
/// No extension is ever agreed on, so RSV is 0. A client masks, a server does not; both write a length in its shortest form.
/// </remarks>
/// <param name="IsFinal">Whether it ends its message.</param>
/// <param name="Opcode">Its kind.</param>
/// <param name="PayloadLength">The bytes of its payload.</param>
/// <param name="Mask">The key of its payload, the first byte lowest; 0 without a mask.</param>
/// <param name="Length">The bytes of the header itself.</param>
internal readonly record struct FrameHeader(bool IsFinal, Opcode Opcode, long PayloadLength, uint Mask, int Length)
{
    /// <summary>The longest header.</summary>
    public const int MaxBytes = 14;

    /// <summary>The longest payload of a control frame.</summary>
    public const int MaxControlPayload = 125;

    private const int MaskBytes = 4;

    /// <summary>Whether it is of a control frame.</summary>
    public bool IsControl => Opcode >= Opcode.Close;

    /// <summary>Reads a header.</summary>
    /// <param name="bytes">What there is of it, and maybe more.</param>
    /// <param name="isMasked">Whether it is a client's, which must be masked; else a server's, which must not be.</param>
    /// <param name="fault">What is wrong with it, as soon as that shows.</param>
    /// <returns>Null when it is wrong, or has not arrived whole.</returns>
    public static FrameHeader? Read(ReadOnlySpan<byte> bytes, bool isMasked, out CloseCode fault)
    {
        fault = CloseCode.None;
        if (bytes.IsEmpty) return null;
        Opcode opcode = (Opcode)(bytes[0] & 0x0F);
        bool isFinal = (bytes[0] & 0x80) != 0;
        bool isControl = opcode >= Opcode.Close;
        if ((bytes[0] & 0x70) != 0 || opcode is > Opcode.Binary and < Opcode.Close or > Opcode.Pong || (isControl && !isFinal))
            fault = CloseCode.ProtocolError;
        else if (opcode == Opcode.Binary) fault = CloseCode.UnsupportedData;
        if (fault != CloseCode.None || bytes.Length < 2) return null;

        int form = bytes[1] & 0x7F;
        if (((bytes[1] & 0x80) != 0) != isMasked || (isControl && form > MaxControlPayload))
        {
            fault = CloseCode.ProtocolError;
            return null;
        }

        int length = 2 + (form < 126 ? 0 : form == 126 ? 2 : 8) + (isMasked ? MaskBytes : 0);
        if (bytes.Length < length) return null;
        ulong payload = form switch
        {
            126 => BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]),
            127 => BinaryPrimitives.ReadUInt64BigEndian(bytes[2..]),
            _ => (ulong)form,
        };
        bool isShortest = form < 126 || payload >= (form == 126 ? 126UL : 1UL << 16);
        if (!isShortest || payload > long.MaxValue)
        {
            fault = CloseCode.ProtocolError;
            return null;
        }

        uint mask = isMasked ? BinaryPrimitives.ReadUInt32LittleEndian(bytes[(length - MaskBytes)..]) : 0;
        return new FrameHeader(isFinal, opcode, (long)payload, mask, length);
    }
}
