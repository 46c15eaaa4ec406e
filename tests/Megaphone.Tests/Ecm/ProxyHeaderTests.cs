using System.Net;
using System.Text;
using Megaphone.Ecm;
using Megaphone.Sockets;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>Every byte of the headers, by sections 2.1 and 2.2 of the PROXY protocol's specification.</summary>
public class ProxyHeaderTests
{
    private const string Signature = "0D0A0D0A000D0A515549540A";

    [Theory]
    [InlineData("192.0.2.7:50000", "198.51.100.1:5222", "PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n")]
    [InlineData("[::ffff:192.0.2.7]:50000", "[::ffff:198.51.100.1]:5222", "PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n")]
    [InlineData("[2001:db8::7]:50000", "[2001:db8::1]:5222", "PROXY TCP6 2001:db8::7 2001:db8::1 50000 5222\r\n")]
    [InlineData("255.255.255.255:65535", "255.255.255.255:65535", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n")]
    [InlineData(
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n")]
    public void Version_1_is_a_line_of_text(string client, string listener, string expected) =>
        Assert.Equal(expected, Encoding.ASCII.GetString(Written(ProxyMode.V1, client, listener)));

    [Theory]
    [InlineData("192.0.2.7:50000", "198.51.100.1:5222", "21" + "11" + "000C" + "C0000207" + "C6336401" + "C350" + "1466")]
    [InlineData("[::ffff:192.0.2.7]:50000", "[::ffff:198.51.100.1]:5222", "21" + "11" + "000C" + "C0000207" + "C6336401" + "C350" + "1466")]
    [InlineData(
        "[2001:db8::7]:50000", "[2001:db8::1]:5222",
        "21" + "21" + "0024" + "20010DB8000000000000000000000007" + "20010DB8000000000000000000000001" + "C350" + "1466")]
    public void Version_2_is_signature_command_family_length_addresses_and_ports(string client, string listener, string expected) =>
        Assert.Equal(Signature + expected, Convert.ToHexString(Written(ProxyMode.V2, client, listener)));

    private static byte[] Written(ProxyMode mode, string client, string listener)
    {
        byte[] buffer = new byte[ProxyHeader.MaxBytes];
        int length = ProxyHeader.Write(
            buffer, mode, new NativeAddress(IPEndPoint.Parse(client)), new NativeAddress(IPEndPoint.Parse(listener)));
        return buffer[..length];
    }
}
