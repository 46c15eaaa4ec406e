using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Megaphone.Protocol;

/// <summary>
/// The 32 bytes at the beginning of every packet (section 1 of the link protocol). Parsing and writing allocate nothing.
/// </summary>
/// <remarks>
/// <code>
/// LLLLLLLLLL|CCCCCCCCCCCCCCCCCCCC|
/// 0         10                   31
/// </code>
/// </remarks>
/// <param name="Length">Bytes of the whole packet, this header included: 32 to the receiver's limit.</param>
/// <param name="ConnectionId">The session's id; <see cref="ControlId"/> for control packets.</param>
internal readonly record struct PacketHeader(int Length, ulong ConnectionId)
{
    /// <summary>Bytes of a header, and so of the shortest packet.</summary>
    public const int Size = 32;

    /// <summary>The id of control packets; never a client's (section 4 of the link protocol).</summary>
    public const ulong ControlId = 0;

    /// <summary>
    /// The longest packet that ten digits can express. Each receiver has its own lower limit.
    /// </summary>
    public const long MaxLength = 9_999_999_999;

    /// <summary>The number of digits of a length.</summary>
    public const int LengthDigits = 10;

    /// <summary>The number of digits of a connection id.</summary>
    public const int IdDigits = 20;

    /// <summary>The separator between length and id (byte 10) and between id and content (byte 31).</summary>
    public const byte Separator = (byte)'|';

    private const ulong TenTo8 = 100_000_000;
    private const ulong TenTo16 = TenTo8 * TenTo8;

    /// <summary>2^64 is 1844_6744073709551616: ids whose first four digits are below this cannot overflow.</summary>
    private const uint TopDigitsOfLargestId = 1844;

    /// <summary>Bytes of content after the header.</summary>
    public int ContentLength => Length - Size;

    /// <summary>Parses a complete header.</summary>
    /// <param name="source">Begins with the header; at least <see cref="Size"/> bytes.</param>
    /// <param name="maxLength">The longest packet that is accepted, 32 or more.</param>
    /// <param name="header">The header, or default when it is malformed.</param>
    /// <returns>False when the header is malformed; <see cref="HeaderScanner.Scan"/> tells in what way.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="source"/> is shorter than a header.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryParse(ReadOnlySpan<byte> source, int maxLength, out PacketHeader header)
    {
        if (source.Length < Size) ThrowShort();
        if (Ssse3.IsSupported && TryParseVector(ref MemoryMarshal.GetReference(source), maxLength, out header))
            return true;
        return HeaderScanner.Scan(source, maxLength, out header, out _) == HeaderFaultKind.None;
    }

    /// <summary>Writes a header.</summary>
    /// <param name="destination">At least <see cref="Size"/> bytes; the first 32 are written.</param>
    /// <param name="length">Bytes of the whole packet, the header included: 32 or more.</param>
    /// <param name="id">The connection id.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="destination"/> is shorter than a header.
    /// </exception>
    public static void Write(Span<byte> destination, int length, ulong id)
    {
        Debug.Assert(length >= Size);
        if (destination.Length < Size) ThrowShort();
        destination = destination[..Size];

        // LLLLLLLLLL|CCCCCCCCCCCCCCCCCCCC| : the groups below are 2 8 | 4 8 8 |
        uint lengthTop = (uint)length / (uint)TenTo8;
        uint lengthLow = (uint)length - lengthTop * (uint)TenTo8;
        ulong idTop = id / TenTo16;
        ulong idLow = id - idTop * TenTo16;
        ulong idMiddle = idLow / TenTo8;

        BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)(EightDigits(lengthTop) >> 48));
        BinaryPrimitives.WriteUInt64LittleEndian(destination[2..], EightDigits(lengthLow));
        destination[10] = Separator;
        BinaryPrimitives.WriteUInt32LittleEndian(destination[11..], (uint)(EightDigits((uint)idTop) >> 32));
        BinaryPrimitives.WriteUInt64LittleEndian(destination[15..], EightDigits((uint)idMiddle));
        BinaryPrimitives.WriteUInt64LittleEndian(destination[23..], EightDigits((uint)(idLow - idMiddle * TenTo8)));
        destination[31] = Separator;
    }

    /// <summary>
    /// The ASCII digits of a number below 10^8, the first digit in the lowest byte. Eight divisions at once: the number
    /// is halved into groups of 4, 2 and 1 digits that lie side by side in one register.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong EightDigits(uint value)
    {
        uint top = value / 10_000;
        ulong fours = top | (ulong)(value - top * 10_000) << 32;

        // x / 100 = x * 10486 >> 20 for x < 10^4, and x / 10 = x * 103 >> 10 for x < 100.
        ulong hundreds = (fours * 10_486 >> 20) & 0x0000_007F_0000_007F;
        ulong twos = hundreds | (fours - hundreds * 100) << 16;
        ulong tens = (twos * 103 >> 10) & 0x000F_000F_000F_000F;
        ulong ones = tens | (twos - tens * 10) << 8;
        return ones | 0x3030_3030_3030_3030;
    }

    /// <summary>
    /// Parses a valid header whose id is not close to the end of the range. Everything else (false) is
    /// left to <see cref="HeaderScanner"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryParseVector(ref byte source, int maxLength, out PacketHeader header)
    {
        // Bytes 0 to 15 are the length, a separator and five digits of the id; bytes 15 to 30 are exactly the id's last
        // 16 digits; byte 31 is the second separator.
        Vector128<byte> head = Vector128.LoadUnsafe(ref source);
        Vector128<byte> tail = Vector128.LoadUnsafe(ref source, Size - 1 - 16);

        // A digit xor '0' is at most 9, and a separator xor '|' is 0; any other byte gives more.
        head ^= Vector128.Create("0000000000|00000"u8);
        tail ^= Vector128.Create((byte)'0');
        Vector128<byte> excess =
            Sse2.SubtractSaturate(head, Vector128.Create(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 9, 9, 9, 9, 9).AsByte())
            | Sse2.SubtractSaturate(tail, Vector128.Create((byte)9));

        // Into groups of four digits: the id's first four, then 00LL LLLL LLLL. An index with its top bit set gives a
        // zero.
        Vector128<byte> shuffled = Ssse3.Shuffle(
            head, Vector128.Create(11, 12, 13, 14, 0x80, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9).AsByte());

        // Join neighbours, digits to twos, twos to fours; then both vectors fit into one.
        Vector128<sbyte> tenOne = Vector128.Create((short)(1 << 8 | 10)).AsSByte();
        Vector128<short> hundredOne = Vector128.Create(1 << 16 | 100).AsInt16();
        Vector128<int> tailFours = Sse2.MultiplyAddAdjacent(Ssse3.MultiplyAddAdjacent(tail, tenOne), hundredOne);
        Vector128<int> headFours = Sse2.MultiplyAddAdjacent(Ssse3.MultiplyAddAdjacent(shuffled, tenOne), hundredOne);
        Vector128<short> fours = Sse2.PackSignedSaturate(tailFours, headFours);

        // Fours to eights where both belong together; the id's first four stay alone, and so do the length's first two.
        Vector128<ulong> eights = Sse2.MultiplyAddAdjacent(
            fours, Vector128.Create(10_000, 1, 10_000, 1, 1, 0, 10_000, 1)).AsUInt64();
        ulong idLow = eights.ToScalar();
        ulong rest = eights.GetElement(1);
        uint idTop = (uint)rest;
        ulong length = (ushort)fours.GetElement(5) * TenTo8 + (rest >> 32);

        header = new PacketHeader(
            (int)length, idTop * TenTo16 + (uint)idLow * TenTo8 + (idLow >> 32));
        return excess == Vector128<byte>.Zero
            && Unsafe.Add(ref source, Size - 1) == Separator
            && length - Size <= (ulong)(maxLength - Size)
            && idTop < TopDigitsOfLargestId;
    }

    private static void ThrowShort() =>
        throw new ArgumentOutOfRangeException(null, $"A packet header needs {Size} bytes.");
}
