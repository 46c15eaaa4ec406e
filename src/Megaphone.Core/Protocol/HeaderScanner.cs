namespace Megaphone.Protocol;

/// <summary>
/// Parses a header byte by byte: the complete parser, for headers that are incomplete, malformed or unusual, and for processors
/// without the instructions that <see cref="PacketHeader.TryParse"/> uses.
/// </summary>
internal static class HeaderScanner
{
    /// <summary>
    /// Parses as much of a header as has arrived. Each check is made at the first byte that decides it, from
    /// front to back, so that a fault is found as soon as its byte has arrived and is the same however the stream was
    /// cut.
    /// </summary>
    /// <param name="source">Begins with the header, which may be incomplete.</param>
    /// <param name="maxLength">The longest packet that is accepted, 32 or more.</param>
    /// <param name="header">The header when it is complete and valid, else default.</param>
    /// <param name="at">
    /// The index of the faulty byte; without a fault, how many bytes of the header have arrived.
    /// </param>
    /// <returns>The first fault, or <see cref="HeaderFaultKind.None"/> when what has arrived is valid.</returns>
    public static HeaderFaultKind Scan(ReadOnlySpan<byte> source, int maxLength, out PacketHeader header, out int at)
    {
        header = default;
        int available = Math.Min(source.Length, PacketHeader.Size);
        long length = 0;
        UInt128 id = 0;

        for (at = 0; at < available; at++)
        {
            byte value = source[at];
            if (at == PacketHeader.LengthDigits)
            {
                if (value != PacketHeader.Separator) return HeaderFaultKind.LengthSeparator;
            }
            else if (at == PacketHeader.Size - 1)
            {
                if (value != PacketHeader.Separator) return HeaderFaultKind.IdSeparator;
            }
            else if (at < PacketHeader.LengthDigits)
            {
                if (!char.IsAsciiDigit((char)value)) return HeaderFaultKind.LengthNotDigits;
                length = length * 10 + (value - '0');
                if (at < PacketHeader.LengthDigits - 1) continue;
                if (length < PacketHeader.Size) return HeaderFaultKind.LengthBelowHeader;
                if (length > maxLength) return HeaderFaultKind.LengthAboveLimit;
            }
            else
            {
                if (!char.IsAsciiDigit((char)value)) return HeaderFaultKind.IdNotDigits;
                id = id * 10 + (uint)(value - '0');
                // Only the last of the 20 digits can exceed the range.
                if (id > ulong.MaxValue) return HeaderFaultKind.IdTooLarge;
            }
        }

        if (at == PacketHeader.Size) header = new PacketHeader((int)length, (ulong)id);
        return HeaderFaultKind.None;
    }
}
