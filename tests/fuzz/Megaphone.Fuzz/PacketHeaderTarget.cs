using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;
using Megaphone.Protocol;

namespace Megaphone.Fuzz;

/// <summary>
/// Packet headers (section 1 of the link protocol): the fast parser, the scanner and a plain reading of the specification agree, whatever
/// the limit; what is parsed is written back byte for byte; a fault is found at its byte and described in one line.
/// </summary>
internal static partial class PacketHeaderTarget
{
    private static readonly int[] Limits = [PacketHeader.Size, 300, 1 << 20, int.MaxValue];

    public static void Run(byte[] input)
    {
        foreach (int limit in Limits) Check(input, limit);
    }

    private static void Check(byte[] input, int limit)
    {
        HeaderFaultKind kind = HeaderScanner.Scan(input, limit, out PacketHeader scanned, out int at);
        if (input.Length >= PacketHeader.Size)
        {
            bool parsed = PacketHeader.TryParse(input, limit, out PacketHeader header);
            Property.Holds(parsed == (kind == HeaderFaultKind.None), "parser and scanner agree on what a header is");
            Property.Holds(header == scanned, "parser and scanner read the same header");
            Property.Holds((parsed ? header : null) == Read(input, limit), "a header is read as the specification says");
            if (parsed) CheckWritten(input, header);
        }
        else
        {
            Property.Holds(scanned == default, "an incomplete header is not read");
            CheckShortIsRefused(input, limit);
        }

        if (kind == HeaderFaultKind.None)
        {
            Property.Holds(at == Math.Min(input.Length, PacketHeader.Size), "a scan without a fault goes to the end");
            return;
        }

        HeaderFaultKind before = HeaderScanner.Scan(input.AsSpan(0, at), limit, out _, out _);
        HeaderFaultKind then = HeaderScanner.Scan(input.AsSpan(0, at + 1), limit, out _, out int again);
        Property.Holds(before == HeaderFaultKind.None && then == kind && again == at, "a fault is known at its byte, and not before");
        PacketFault fault = new(kind, 0, input.AsSpan(0, at + 1), limit);
        Property.Holds(fault.Offset == at && fault.Header.Length <= 128, "a fault says where it is");
        Property.IsOneLine(fault.ToString());
    }

    private static void CheckWritten(byte[] input, PacketHeader header)
    {
        byte[] written = new byte[PacketHeader.Size];
        PacketHeader.Write(written, header.Length, header.ConnectionId);
        Property.Holds(written.AsSpan().SequenceEqual(input.AsSpan(0, PacketHeader.Size)), "a header is written as it was read");
    }

    private static void CheckShortIsRefused(byte[] input, int limit)
    {
        try
        {
            PacketHeader.TryParse(input, limit, out _);
        }
        catch (ArgumentOutOfRangeException)
        {
            return;
        }

        Property.Holds(false, "the parser takes no incomplete header");
    }

    /// <summary>The header as the specification's words have it, slowly.</summary>
    private static PacketHeader? Read(byte[] input, int limit)
    {
        Match match = Header().Match(Encoding.Latin1.GetString(input, 0, PacketHeader.Size));
        if (!match.Success) return null;
        BigInteger length = BigInteger.Parse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
        BigInteger id = BigInteger.Parse(match.Groups[2].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
        return length >= PacketHeader.Size && length <= limit && id <= ulong.MaxValue ? new PacketHeader((int)length, (ulong)id) : null;
    }

    [GeneratedRegex(@"\A([0-9]{10})\|([0-9]{20})\|\z")]
    private static partial Regex Header();
}
