using System.Text;
using Megaphone.Protocol;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Protocol;

/// <summary>Section 1 of the link protocol: what is wrong with a malformed header, and where.</summary>
public class PacketFaultTests
{
    private const int Limit = 1 << 20;

    /// <summary>Malformed headers, each with its fault and the index of the faulty byte.</summary>
    public static TheoryData<string, string, int> Malformed => new()
    {
        { "x000000041|00000000000000000007|", nameof(HeaderFaultKind.LengthNotDigits), 0 },
        { "000000004||00000000000000000007|", nameof(HeaderFaultKind.LengthNotDigits), 9 },
        { "-000000041|00000000000000000007|", nameof(HeaderFaultKind.LengthNotDigits), 0 },
        { "        41|00000000000000000007|", nameof(HeaderFaultKind.LengthNotDigits), 0 },
        { "0000000031|00000000000000000007|", nameof(HeaderFaultKind.LengthBelowHeader), 9 },
        { "0000000000|00000000000000000007|", nameof(HeaderFaultKind.LengthBelowHeader), 9 },
        { "0001048577|00000000000000000007|", nameof(HeaderFaultKind.LengthAboveLimit), 9 },
        { "9999999999|00000000000000000007|", nameof(HeaderFaultKind.LengthAboveLimit), 9 },
        { "00000000410|0000000000000000007|", nameof(HeaderFaultKind.LengthSeparator), 10 },
        { "0000000041 00000000000000000007|", nameof(HeaderFaultKind.LengthSeparator), 10 },
        { "0000000041|\r\n000000000000000007|", nameof(HeaderFaultKind.IdNotDigits), 11 },
        { "0000000041|0000000000000000000\"|", nameof(HeaderFaultKind.IdNotDigits), 30 },
        { "0000000041|18446744073709551616|", nameof(HeaderFaultKind.IdTooLarge), 30 },
        { "0000000041|99999999999999999999|", nameof(HeaderFaultKind.IdTooLarge), 30 },
        { "0000000041|00000000000000000007\\", nameof(HeaderFaultKind.IdSeparator), 31 },
        { "0000000041|00000000000000000007\0", nameof(HeaderFaultKind.IdSeparator), 31 },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void It_is_found_at_the_first_byte_that_reveals_it(string header, string kind, int at)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(header);

        for (int there = 0; there <= bytes.Length; there++)
        {
            ReadOnlySpan<byte> arrived = bytes.AsSpan(0, there);
            HeaderFaultKind found = HeaderScanner.Scan(arrived, Limit, out PacketHeader parsed, out int where);
            Assert.Equal(there <= at ? nameof(HeaderFaultKind.None) : kind, found.ToString());
            Assert.Equal(there <= at ? there : at, where);
            Assert.Equal(default, parsed);
        }
    }

    [Fact]
    public void It_is_one_line_with_the_fault_its_offset_and_what_would_be_valid()
    {
        StringBuilder lines = new();
        foreach (object[] row in Malformed)
        {
            PacketSplitter splitter = new(Limit);
            byte[] stream = Encoding.Latin1.GetBytes("0000000034|00000000000000000007|ok" + (string)row[0]);
            Assert.Equal(PacketSplitter.Result.Packet, splitter.Next(stream, out PacketHeader first));
            Assert.Equal(PacketSplitter.Result.Malformed, splitter.Next(stream.AsSpan(first.Length), out _));

            string line = splitter.Fault!.ToString();
            Assert.DoesNotContain('\n', line);
            lines.Append(line).Append('\n');
        }

        Snapshot.Match(lines.ToString());
    }

    [Fact]
    public void Its_offsets_count_from_the_first_byte_of_the_stream()
    {
        PacketFault fault = new(HeaderFaultKind.LengthSeparator, 5_000_000_000, "0000000041x"u8, Limit);

        Assert.Equal(5_000_000_000, fault.HeaderOffset);
        Assert.Equal(5_000_000_010, fault.Offset);
    }

    [Fact]
    public void Every_byte_can_be_shown()
    {
        for (int value = 0; value < 256; value++)
        {
            string text = new PacketFault(HeaderFaultKind.LengthNotDigits, 0, [(byte)value], Limit).Header;
            Assert.All(text, character => Assert.InRange(character, ' ', '~'));
            Assert.Equal(value is >= 0x20 and < 0x7F and not '"' and not '\\' ? 1 : 4, text.Length);
        }
    }
}
