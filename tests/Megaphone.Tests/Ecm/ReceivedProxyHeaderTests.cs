using System.Net;
using System.Text;
using Megaphone.Ecm;
using Megaphone.Interop;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>HAProxy's proxy-protocol.txt, sections 2.1 and 2.2, from the receiver's side.</summary>
public class ReceivedProxyHeaderTests
{
    private static readonly byte[] Signature = "\r\n\r\n\0\r\nQUIT\n"u8.ToArray();

    [Theory]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n", "192.0.2.7:50000")]
    [InlineData("PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n", "255.255.255.255:0")]
    [InlineData("PROXY TCP6 2001:db8::7 2001:db8::1 50000 5222\r\n", "[2001:db8::7]:50000")]
    [InlineData("PROXY UNKNOWN\r\n", null)]
    [InlineData("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", null)]
    public void Version_1_names_the_client_or_nobody(string header, string? client)
    {
        ReceivedProxyHeader read = ReceivedProxyHeader.Read(Encoding.ASCII.GetBytes(header + "<stream:stream"));
        Assert.Equal((ReceivedProxyHeader.Progress.Whole, header.Length), (read.State, read.Bytes));
        Assert.Equal(client, read.Client?.ToString());
    }

    [Theory]
    [InlineData("<stream:stream")]
    [InlineData("proxy TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n")]
    [InlineData("PROXY  TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 50000\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222 \r\n")]
    [InlineData("PROXY TCP4 192.0.02.7 198.51.100.1 50000 5222\r\n")]
    [InlineData("PROXY TCP4 192.0.2 198.51.100.1 50000 5222\r\n")]
    [InlineData("PROXY TCP4 0x7f.0.0.1 198.51.100.1 50000 5222\r\n")]
    [InlineData("PROXY TCP4 2001:db8::7 2001:db8::1 50000 5222\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 65536 5222\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 050000 5222\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 +50000 5222\r\n")]
    [InlineData("PROXY TCP6 192.0.2.7 198.51.100.1 50000 5222\r\n")]
    [InlineData("PROXY TCP6 1 1 50000 5222\r\n")]
    [InlineData("PROXY TCP6 ::ffff:192.0.2.7 ::1 50000 5222\r\n")]
    [InlineData("PROXY TCP6 fe80::1%1 fe80::2 50000 5222\r\n")]
    [InlineData("PROXY UDP4 192.0.2.7 198.51.100.1 50000 5222\r\n")]
    public void What_the_specification_does_not_write_is_no_header(string text) =>
        Assert.Equal(ReceivedProxyHeader.Progress.Malformed, ReceivedProxyHeader.Read(Encoding.ASCII.GetBytes(text)).State);

    [Fact]
    public void A_line_has_at_most_107_bytes()
    {
        string longest = $"PROXY UNKNOWN {new string('x', 91)}\r\n";
        Assert.Equal(107, ReceivedProxyHeader.Read(Encoding.ASCII.GetBytes(longest)).Bytes);
        byte[] longer = Encoding.ASCII.GetBytes($"PROXY UNKNOWN {new string('x', 92)}\r\n");
        Assert.Equal(ReceivedProxyHeader.Progress.Incomplete, ReceivedProxyHeader.Read(longer.AsSpan(0, 106)).State);
        Assert.Equal(ReceivedProxyHeader.Progress.Malformed, ReceivedProxyHeader.Read(longer).State);
    }

    [Fact]
    public void Version_2_names_the_client_and_what_follows_the_addresses_is_skipped()
    {
        byte[] header =
        [
            .. Signature, 0x21, 0x11, 0, 12 + 15, 192, 0, 2, 7, 198, 51, 100, 1, 0xC3, 0x50, 0x14, 0x66,
            0x03, 0, 4, 1, 2, 3, 4, 0xEA, 0, 5, 1, .. "vpce"u8,
        ];
        ReceivedProxyHeader read = ReceivedProxyHeader.Read([.. header, .. "<stream"u8]);
        Assert.Equal((ReceivedProxyHeader.Progress.Whole, header.Length), (read.State, read.Bytes));
        Assert.Equal("192.0.2.7:50000", read.Client?.ToString());
        Assert.Equal(header.Length, ReceivedProxyHeader.Read(header.AsSpan(0, 20)).Bytes);

        ReceivedProxyHeader v6 = ReceivedProxyHeader.Read(
            [.. Signature, 0x21, 0x21, 0, 36, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, .. new byte[16], 0, 80, 0, 81]);
        Assert.Equal("[2001:db8::7]:80", v6.Client?.ToString());
    }

    [Theory]
    [InlineData(0x20, 0x00, 0, ReceivedProxyHeader.Progress.Whole)]
    [InlineData(0x20, 0x11, 12, ReceivedProxyHeader.Progress.Whole)]
    [InlineData(0x21, 0x00, 0, ReceivedProxyHeader.Progress.Whole)]
    [InlineData(0x21, 0x31, 216, ReceivedProxyHeader.Progress.Whole)]
    [InlineData(0x21, 0x11, 11, ReceivedProxyHeader.Progress.Malformed)]
    [InlineData(0x21, 0x21, 12, ReceivedProxyHeader.Progress.Malformed)]
    [InlineData(0x21, 0x12, 12, ReceivedProxyHeader.Progress.Malformed)]
    [InlineData(0x22, 0x11, 12, ReceivedProxyHeader.Progress.Malformed)]
    [InlineData(0x11, 0x11, 12, ReceivedProxyHeader.Progress.Malformed)]
    [InlineData(0x21, 0x11, 4000, ReceivedProxyHeader.Progress.Malformed)]
    public void Commands_and_families_are_those_of_the_specification(byte command, byte family, int rest, object expected)
    {
        ReceivedProxyHeader read = ReceivedProxyHeader.Read([.. Signature, command, family, (byte)(rest >> 8), (byte)rest, .. new byte[rest]]);
        Assert.Equal(expected, read.State);
        if (family != 0x11) Assert.Null(read.Client);
    }

    [Fact]
    public void Behind_a_proxy_the_address_that_was_connected_to_is_not_told_if_it_is_of_another_family()
    {
        byte[] room = new byte[ProxyHeader.MaxBytes];
        NativeAddress client = new(IPEndPoint.Parse("[2001:db8::7]:50000")), here = new(IPEndPoint.Parse("10.0.0.1:5222"));
        int length = ProxyHeader.Write(room, ProxyMode.V1, client, here, tls: null);
        Assert.Equal("PROXY TCP6 2001:db8::7 :: 50000 5222\r\n", Encoding.ASCII.GetString(room, 0, length));
        length = ProxyHeader.Write(room, ProxyMode.V1, here, client, tls: null);
        Assert.Equal("PROXY TCP4 10.0.0.1 0.0.0.0 5222 50000\r\n", Encoding.ASCII.GetString(room, 0, length));
    }
}
