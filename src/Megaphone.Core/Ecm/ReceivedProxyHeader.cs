using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;

namespace Megaphone.Ecm;

/// <summary>Reads the PROXY header with which a proxy begins a connection, version 1 or 2 of HAProxy's specification. No I/O.</summary>
/// <remarks>
/// <code>
/// version 1, at most 107 bytes: "PROXY " ( "TCP4 " ipv4 " " ipv4 | "TCP6 " ipv6 " " ipv6 ) " " port " " port CR LF
///                               | "PROXY UNKNOWN" [ " " anything ] CR LF
/// version 2: signature (12), 0x20 (LOCAL) or 0x21 (PROXY), family and transport, length of the rest (2), addresses, ports, other fields
/// </code>
/// What could be written in another way is refused, so that no two readers take one header for two. Fields behind the addresses are skipped.
/// </remarks>
internal readonly ref struct ReceivedProxyHeader
{
    /// <summary>The longest header that is accepted.</summary>
    public const int MaxBytes = 16 + 2048;

    private const int LongestText = 107;
    private const int BinaryStart = 16;
    private const int Ipv4Bytes = 12;
    private const int Ipv6Bytes = 36;
    private const int UnixBytes = 216;

    private ReceivedProxyHeader(Progress progress, int bytes, IPEndPoint? client = null)
    {
        (State, Bytes, Client) = (progress, bytes, client);
    }

    /// <summary>What <see cref="Read"/> found.</summary>
    internal enum Progress
    {
        /// <summary>The header is whole.</summary>
        Whole,

        /// <summary>More has to arrive.</summary>
        Incomplete,

        /// <summary>It is no header.</summary>
        Malformed,
    }

    /// <summary>What was found.</summary>
    public Progress State { get; }

    /// <summary>Of a whole header, its length. Of an incomplete one, how many bytes must be there at least before it is read again.</summary>
    public int Bytes { get; }

    /// <summary>The client that a whole header names; null: none, as the proxy speaks for itself, to see whether somebody is there.</summary>
    public IPEndPoint? Client { get; }

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    private static ReadOnlySpan<byte> TextStart => "PROXY "u8;

    /// <summary>Reads what has arrived, from its first byte on.</summary>
    /// <param name="bytes">As much as has arrived, or <see cref="MaxBytes"/>.</param>
    public static ReceivedProxyHeader Read(ReadOnlySpan<byte> bytes)
    {
        if (StartsLike(bytes, TextStart)) return ReadText(bytes);
        return StartsLike(bytes, Signature) ? ReadBinary(bytes) : Malformed();
    }

    private static ReceivedProxyHeader Malformed() => new(Progress.Malformed, 0);

    private static bool StartsLike(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> start) =>
        bytes.Length < start.Length ? start.StartsWith(bytes) : bytes.StartsWith(start);

    private static ReceivedProxyHeader ReadText(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> line = bytes[..Math.Min(bytes.Length, LongestText)];
        int end = line.IndexOf("\r\n"u8);
        if (end < 0) return line.Length == LongestText ? Malformed() : new ReceivedProxyHeader(Progress.Incomplete, bytes.Length + 1);
        string[] parts = Encoding.Latin1.GetString(line[..end]).Split(' ');
        int length = end + 2;
        if (parts[1] == "UNKNOWN") return new ReceivedProxyHeader(Progress.Whole, length);
        if (parts.Length != 6 || parts[1] is not ("TCP4" or "TCP6")) return Malformed();
        bool isV4 = parts[1] == "TCP4";
        return ReadAddress(parts[2], isV4) is { } client && ReadAddress(parts[3], isV4) is not null
            && ReadPort(parts[4]) is { } port && ReadPort(parts[5]) is not null
            ? new ReceivedProxyHeader(Progress.Whole, length, new IPEndPoint(client, port))
            : Malformed();
    }

    /// <summary>Addresses as the specification writes them: IPv4 in four decimal numbers, IPv6 with nothing but digits and colons.</summary>
    private static IPAddress? ReadAddress(string text, bool isV4)
    {
        string[] numbers = text.Split('.');
        bool isWellFormed = isV4
            ? numbers.Length == 4 && numbers.All(number => ReadPort(number) <= byte.MaxValue)
            : text.Contains(':') && text.All(c => char.IsAsciiHexDigit(c) || c == ':');
        return isWellFormed && IPAddress.TryParse(text, out IPAddress? address) ? address : null;
    }

    /// <summary>A decimal number of 16 bits without zeros before it.</summary>
    private static ushort? ReadPort(string text) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
        && text.All(char.IsAsciiDigit) && (text.Length == 1 || text[0] != '0')
            ? port
            : null;

    private static ReceivedProxyHeader ReadBinary(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < BinaryStart) return new ReceivedProxyHeader(Progress.Incomplete, BinaryStart);
        (byte command, byte family) = (bytes[12], bytes[13]);
        int rest = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        int addresses = family switch
        {
            0x00 => 0,
            0x11 => Ipv4Bytes,
            0x21 => Ipv6Bytes,
            0x31 => UnixBytes,
            _ => int.MaxValue,
        };
        bool isLocal = command == 0x20;
        if ((!isLocal && command != 0x21) || (!isLocal && addresses > rest) || BinaryStart + rest > MaxBytes) return Malformed();
        int length = BinaryStart + rest;
        if (bytes.Length < length) return new ReceivedProxyHeader(Progress.Incomplete, length);
        if (isLocal || addresses is not (Ipv4Bytes or Ipv6Bytes)) return new ReceivedProxyHeader(Progress.Whole, length);
        int size = addresses == Ipv4Bytes ? 4 : 16;
        ReadOnlySpan<byte> from = bytes.Slice(BinaryStart, size), port = bytes[(BinaryStart + (2 * size))..];
        return new ReceivedProxyHeader(Progress.Whole, length, new IPEndPoint(new IPAddress(from), BinaryPrimitives.ReadUInt16BigEndian(port)));
    }
}
