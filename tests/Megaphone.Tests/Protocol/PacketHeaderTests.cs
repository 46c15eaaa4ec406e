using System.Text;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Protocol;

/// <summary>Section 1 of the link protocol: the packet header.</summary>
public class PacketHeaderTests
{
    private const int Limit = 1 << 20;

    [Fact]
    public void The_protocols_example_is_read_and_written()
    {
        byte[] packet = "0000000041|00000000000000000007|PRESENCE!"u8.ToArray();

        Assert.True(PacketHeader.TryParse(packet, Limit, out PacketHeader header));
        Assert.Equal(new PacketHeader(41, 7), header);
        Assert.Equal("PRESENCE!"u8.ToArray(), packet[PacketHeader.Size..header.Length]);
        Assert.Equal(9, header.ContentLength);
        Assert.Equal("0000000041|00000000000000000007|", Written(41, 7));
    }

    [Theory]
    [InlineData("00000000000000000000", 0)]
    [InlineData("00000000000000000001", 1)]
    [InlineData("18439999999999999999", 18439999999999999999)]
    [InlineData("18440000000000000000", 18440000000000000000)]
    [InlineData("18446744073709551614", ulong.MaxValue - 1)]
    [InlineData("18446744073709551615", ulong.MaxValue)]
    public void Ids_up_to_64_bits_are_read(string digits, ulong id)
    {
        Assert.True(PacketHeader.TryParse(Ascii($"0000000032|{digits}|"), Limit, out PacketHeader header));
        Assert.Equal(id, header.ConnectionId);
        Assert.Equal($"0000000032|{digits}|", Written(32, id));
    }

    [Theory]
    [InlineData("18446744073709551616")]
    [InlineData("18450000000000000000")]
    [InlineData("99999999999999999999")]
    public void Ids_above_64_bits_are_refused(string digits)
    {
        Assert.False(PacketHeader.TryParse(Ascii($"0000000032|{digits}|"), Limit, out PacketHeader header));
        Assert.Equal(default, header);
    }

    [Theory]
    [InlineData("0000000000", false)]
    [InlineData("0000000031", false)]
    [InlineData("0000000032", true)]
    [InlineData("0001048576", true)] // the limit
    [InlineData("0001048577", false)]
    [InlineData("2147483648", false)]
    [InlineData("4294967328", false)] // 2^32 + 32
    [InlineData("9999999999", false)]
    public void Lengths_from_32_to_the_limit_are_read(string digits, bool accepted)
    {
        byte[] bytes = Ascii($"{digits}|00000000000000000007|");

        Assert.Equal(accepted, PacketHeader.TryParse(bytes, Limit, out PacketHeader header));
        Assert.Equal(accepted ? int.Parse(digits) : 0, header.Length);
    }

    [Theory]
    [InlineData(int.MaxValue, "2147483647", true)]
    [InlineData(int.MaxValue, "2147483648", false)]
    [InlineData(int.MaxValue, "9999999999", false)]
    [InlineData(32, "0000000032", true)]
    [InlineData(32, "0000000033", false)]
    public void The_limit_may_be_anything_from_32_on(int limit, string digits, bool accepted) =>
        Assert.Equal(accepted, PacketHeader.TryParse(Ascii($"{digits}|00000000000000000007|"), limit, out _));

    [Fact]
    public void Written_headers_can_be_read_at_every_number_of_digits()
    {
        foreach (int length in LengthsAtDigitBoundaries())
        {
            foreach (ulong id in IdsAtDigitBoundaries())
            {
                byte[] bytes = new byte[PacketHeader.Size];
                PacketHeader.Write(bytes, length, id);

                Assert.Equal($"{length:D10}|{id:D20}|", Encoding.ASCII.GetString(bytes));
                Assert.True(PacketHeader.TryParse(bytes, int.MaxValue, out PacketHeader header));
                Assert.Equal(new PacketHeader(length, id), header);
            }
        }
    }

    [Fact]
    public void Every_group_of_digits_is_written_correctly()
    {
        // The eight-digit conversion works on halves of four digits each: every value of either half, at every offset.
        byte[] bytes = new byte[PacketHeader.Size];
        for (ulong four = 0; four < 10_000; four++)
        {
            int length = (int)(four * 10_000 + (9_999 - four) + 32);
            ulong id = four * 1_0000_0000_0000 + (9_999 - four) * 1_0000_0000 + four * 1_0000 + (9_999 - four);
            PacketHeader.Write(bytes, length, id);
            Assert.Equal($"{length:D10}|{id:D20}|", Encoding.ASCII.GetString(bytes));
        }
    }

    [Fact]
    public void Only_the_header_is_written()
    {
        byte[] bytes = new byte[PacketHeader.Size + 16];
        bytes.AsSpan().Fill(0xEE);
        PacketHeader.Write(bytes.AsSpan(8), 41, 7);

        Assert.All(bytes[..8], b => Assert.Equal(0xEE, b));
        Assert.All(bytes[^8..], b => Assert.Equal(0xEE, b));
    }

    [Fact]
    public void Less_than_a_header_throws()
    {
        byte[] bytes = new byte[PacketHeader.Size - 1];
        Assert.Throws<ArgumentOutOfRangeException>(() => PacketHeader.Write(bytes, 32, 7));
        Assert.Throws<ArgumentOutOfRangeException>(() => PacketHeader.TryParse(bytes, Limit, out _));
    }

    [Fact]
    public void The_vector_and_the_scalar_parser_agree_on_every_byte_at_every_offset()
    {
        string[] origins =
        [
            "0000000041|00000000000000000007|",
            "0001048576|18446744073709551615|",
            "0000000032|18440000000000000000|",
            "0000999999|09999999999999999999|",
            "0000000100|12345678901234567890|",
        ];
        foreach (string origin in origins)
        {
            byte[] bytes = Ascii(origin);
            for (int at = 0; at < bytes.Length; at++)
            {
                byte original = bytes[at];
                for (int value = 0; value < 256; value++)
                {
                    bytes[at] = (byte)value;
                    AssertBothWaysAgree(bytes);
                }

                bytes[at] = original;
            }
        }
    }

    [Fact]
    public void The_vector_and_the_scalar_parser_agree_on_nearly_valid_headers()
    {
        Random random = new(20_16);
        byte[] bytes = new byte[PacketHeader.Size];
        for (int round = 0; round < 200_000; round++)
        {
            ulong id = (ulong)random.NextInt64() >> random.Next(64) << random.Next(2);
            PacketHeader.Write(bytes, random.Next(32, Limit + Limit / 8), id);
            for (int wrong = random.Next(3); wrong > 0; wrong--)
            {
                int value = random.Next(4) == 0 ? random.Next(256) : '/' + random.Next(12);
                bytes[random.Next(bytes.Length)] = (byte)value;
            }

            AssertBothWaysAgree(bytes);
        }
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        byte[] bytes = new byte[PacketHeader.Size];
        Assert.Equal(0, AllocatedBy(() =>
        {
            for (int i = 0; i < 1_000; i++)
            {
                PacketHeader.Write(bytes, 32 + i, ulong.MaxValue - (ulong)i);
                PacketHeader.TryParse(bytes, Limit, out _);
                PacketHeader.TryParse(bytes, 32, out _);
            }
        }));
    }

    /// <summary>Bytes that this thread allocates in a second run; the first one may load and compile.</summary>
    internal static long AllocatedBy(Action action)
    {
        action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static void AssertBothWaysAgree(byte[] bytes)
    {
        HeaderFaultKind kind = HeaderScanner.Scan(bytes, Limit, out PacketHeader plain, out _);
        bool accepted = PacketHeader.TryParse(bytes, Limit, out PacketHeader fast);
        if (accepted != (kind == HeaderFaultKind.None) || fast != plain)
            Assert.Fail($"{Encoding.Latin1.GetString(bytes)}: plain says {kind} {plain}, fast says {accepted} {fast}");
    }

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    private static string Written(int length, ulong id)
    {
        byte[] bytes = new byte[PacketHeader.Size];
        PacketHeader.Write(bytes, length, id);
        return Encoding.ASCII.GetString(bytes);
    }

    private static IEnumerable<int> LengthsAtDigitBoundaries()
    {
        yield return 32;
        for (int power = 100; ; power *= 10)
        {
            yield return power - 1;
            yield return power;
            if (power == 1_000_000_000) break;
        }

        yield return int.MaxValue;
    }

    private static IEnumerable<ulong> IdsAtDigitBoundaries()
    {
        yield return 0;
        for (ulong power = 1; ; power *= 10)
        {
            yield return power - 1;
            yield return power;
            if (power == 10_000_000_000_000_000_000) break;
        }

        yield return ulong.MaxValue;
    }
}
