using System.Globalization;
using System.Text;

namespace Megaphone.Protocol;

/// <summary>
/// A malformed header in a link's stream: what is wrong, and where (section 1 of the link protocol). It ends the link.
/// The same stream gives the same fault however it was cut.
/// </summary>
internal sealed class PacketFault
{
    private readonly string _what;

    /// <summary>Describes a fault that <see cref="HeaderScanner.Scan"/> found.</summary>
    /// <param name="kind">What is wrong; not <see cref="HeaderFaultKind.None"/>.</param>
    /// <param name="headerOffset">The header's offset in the stream, in bytes.</param>
    /// <param name="header">The header up to and including the faulty byte.</param>
    /// <param name="maxLength">The limit that the length was checked against.</param>
    public PacketFault(HeaderFaultKind kind, long headerOffset, ReadOnlySpan<byte> header, int maxLength)
    {
        Kind = kind;
        HeaderOffset = headerOffset;
        Offset = headerOffset + header.Length - 1;
        Header = Escape(header);
        _what = Explain(kind, header, maxLength);
    }

    /// <summary>What is wrong.</summary>
    public HeaderFaultKind Kind { get; }

    /// <summary>The malformed header's offset in the stream, in bytes.</summary>
    public long HeaderOffset { get; }

    /// <summary>The faulty byte's offset in the stream.</summary>
    public long Offset { get; }

    /// <summary>
    /// The header up to and including the byte at <see cref="Offset"/>: printable ASCII as it is, everything else,
    /// quotation marks and backslashes as <c>\xNN</c>. At most 32 bytes, so at most 128 characters.
    /// </summary>
    public string Header { get; }

    /// <summary>Whether the link begins as TLS does: with a record that holds a handshake (22) or an alert (21).</summary>
    public bool LooksLikeTls => Offset == 0 && Header is @"\x16" or @"\x15";

    /// <summary>One line for the log: what is wrong, where, and what would be valid.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"malformed packet header at offset {HeaderOffset}, wrong at offset {Offset}: {_what}; received \"{Header}\"");

    private static string Explain(HeaderFaultKind kind, ReadOnlySpan<byte> header, int maxLength)
    {
        string place = $"byte {header.Length - 1} of a header";
        string last = $"not \"{Escape(header[^1..])}\"";
        return kind switch
        {
            HeaderFaultKind.LengthNotDigits =>
                $"{place} must be one of the {PacketHeader.LengthDigits} decimal digits of the length, {last}",
            HeaderFaultKind.LengthBelowHeader =>
                $"the length must be at least {PacketHeader.Size}, because it counts the header",
            HeaderFaultKind.LengthAboveLimit =>
                $"the length must be at most {maxLength}, the limit of this receiver",
            HeaderFaultKind.LengthSeparator =>
                $"{place} must be the \"|\" between length and id, {last}",
            HeaderFaultKind.IdNotDigits =>
                $"{place} must be one of the {PacketHeader.IdDigits} decimal digits of the id, {last}",
            HeaderFaultKind.IdTooLarge =>
                $"the id must be at most {ulong.MaxValue}",
            HeaderFaultKind.IdSeparator =>
                $"{place} must be the \"|\" between id and content, {last}",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Not a fault."),
        };
    }

    private static string Escape(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length * 4);
        foreach (byte value in bytes)
        {
            if (value is >= 0x20 and < 0x7F and not (byte)'"' and not (byte)'\\') text.Append((char)value);
            else text.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
        }

        return text.ToString();
    }
}
