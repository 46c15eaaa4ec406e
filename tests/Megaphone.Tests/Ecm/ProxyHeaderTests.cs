using System.Net;
using System.Text;
using Megaphone.Ecm;
using Megaphone.Interop;
using Megaphone.Tls;
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
    [InlineData("[::192.0.2.7]:50000", "[2001:db8::5efe:192.0.2.1]:5222", "PROXY TCP6 ::c000:207 2001:db8::5efe:c000:201 50000 5222\r\n")]
    [InlineData("[64:ff9b::192.0.2.7]:1", "[::ffff:0:192.0.2.7]:1", "PROXY TCP6 64:ff9b::c000:207 ::ffff:0:c000:207 1 1\r\n")]
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

    [Fact]
    public void Of_a_client_of_a_Unix_socket_no_address_is_told()
    {
        byte[] room = new byte[ProxyHeader.MaxBytes];
        NativeAddress unix = NativeAddress.Unix;
        int length = ProxyHeader.Write(room, ProxyMode.V1, unix, unix, tls: null);
        Assert.Equal("PROXY UNKNOWN\r\n", Encoding.ASCII.GetString(room, 0, length));
        length = ProxyHeader.Write(room, ProxyMode.V2, unix, unix, tls: null);
        Assert.Equal(Signature + "21" + "00" + "0000", Convert.ToHexString(room, 0, length));
        length = ProxyHeader.Write(room, ProxyMode.V2, unix, unix, new TlsFacts("TLSv1.3", "", null, null, Resumed: false));
        string tls = "20" + "000F" + "01" + "00000001" + "21" + "0007" + Hex("TLSv1.3");
        Assert.Equal(Signature + "21" + "00" + "0012" + tls, Convert.ToHexString(room, 0, length));
    }

    [Theory]
    [InlineData("192.0.2.7:50000", "PROXY TCP4 192.0.2.7 0.0.0.0 50000 0\r\n")]
    [InlineData("[2001:db8::7]:50000", "PROXY TCP6 2001:db8::7 :: 50000 0\r\n")]
    public void A_client_that_a_proxy_on_a_Unix_socket_names_has_come_to_no_address(string client, string expected)
    {
        byte[] room = new byte[ProxyHeader.MaxBytes];
        int length = ProxyHeader.Write(room, ProxyMode.V1, new NativeAddress(IPEndPoint.Parse(client)), NativeAddress.Unix, tls: null);
        Assert.Equal(expected, Encoding.ASCII.GetString(room, 0, length));
    }

    [Fact]
    public void Version_2_carries_TLS_in_the_specifications_fields()
    {
        TlsFacts tls = new("TLSv1.3", "TLS_AES_128_GCM_SHA256", "example.org", "xmpp-client", Resumed: false);

        string written = Convert.ToHexString(Written(ProxyMode.V2, "192.0.2.7:50000", "198.51.100.1:5222", tls));

        string expected = "01" + "000B" + Hex("xmpp-client") + "02" + "000B" + Hex("example.org")
            + "20" + "0028" + "01" + "00000001" + "21" + "0007" + Hex("TLSv1.3") + "23" + "0016" + Hex("TLS_AES_128_GCM_SHA256");
        Assert.Equal(Signature + "21" + "11" + "0053" + "C0000207" + "C6336401" + "C350" + "1466" + expected, written);
    }

    [Fact]
    public void Version_2_carries_channel_bindings_behind_that()
    {
        TlsFacts tls = new("TLSv1.3", "X", null, null, Resumed: false) { Exporter = [1, 2, 3], ServerEndPoint = [4, 5], Unique = [6] };
        Assert.EndsWith(
            "23" + "0001" + "58" + "E1" + "0003" + "010203" + "E2" + "0002" + "0405" + "E3" + "0001" + "06",
            Convert.ToHexString(Written(ProxyMode.V2, "192.0.2.7:50000", "198.51.100.1:5222", tls)), StringComparison.Ordinal);
    }

    [Fact]
    public void Absent_fields_are_left_out_and_the_longest_header_fits()
    {
        TlsFacts least = new("TLSv1.2", "X", null, null, Resumed: true);
        TlsFacts most = new("TLSv1.2", new string('X', 60), new string('x', 255), "xmpp-client", Resumed: true)
        {
            Exporter = new byte[32],
            ServerEndPoint = new byte[64],
            Unique = new byte[12],
        };

        Assert.EndsWith("C3501466" + "20" + "0013" + "01" + "00000001" + "21" + "0007" + Hex("TLSv1.2") + "23" + "0001" + "58",
            Convert.ToHexString(Written(ProxyMode.V2, "192.0.2.7:50000", "198.51.100.1:5222", least)), StringComparison.Ordinal);
        Assert.True(Written(ProxyMode.V2, "[2001:db8::7]:50000", "[2001:db8::1]:5222", most).Length < ProxyHeader.MaxBytes);
    }

    [Fact]
    public void A_header_that_is_too_long_to_wait_does_without_the_names_that_the_client_asked_for()
    {
        TlsFacts most = new("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", new string('x', 255), "xmpp-client", Resumed: false)
        {
            Exporter = new byte[32],
            ServerEndPoint = new byte[64],
        };
        const string From = "[2001:db8::7]:50000", To = "[2001:db8::1]:5222";
        byte[] header = Written(ProxyMode.V2, From, To, most, PacedClient.MaxHeaderBytes);
        Assert.True(header.Length <= PacedClient.MaxHeaderBytes, $"{header.Length} bytes");
        Assert.Equal(Written(ProxyMode.V2, From, To, most with { ServerName = null, Protocol = null }), header);

        TlsFacts usual = most with { ServerName = "example.org", ServerEndPoint = [] };
        Assert.Equal(Written(ProxyMode.V2, From, To, usual), Written(ProxyMode.V2, From, To, usual, PacedClient.MaxHeaderBytes));
    }

    [Fact]
    public void A_header_that_is_still_too_long_to_wait_does_without_the_cipher_and_has_all_channel_bindings()
    {
        TlsFacts most = new("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", new string('x', 255), "xmpp-client", Resumed: false)
        {
            Exporter = new byte[32],
            ServerEndPoint = new byte[64],
            Unique = new byte[12],
        };
        const string From = "[2001:db8::7]:50000", To = "[2001:db8::1]:5222";
        byte[] header = Written(ProxyMode.V2, From, To, most, PacedClient.MaxHeaderBytes);
        Assert.True(header.Length <= PacedClient.MaxHeaderBytes, $"{header.Length} bytes");
        Assert.Equal(Written(ProxyMode.V2, From, To, most with { ServerName = null, Protocol = null, Cipher = "" }), header);
        Assert.Contains(
            "20" + "000F" + "01" + "00000001" + "21" + "0007" + Hex("TLSv1.2") + "E1", Convert.ToHexString(header), StringComparison.Ordinal);
    }

    private static string Hex(string text) => Convert.ToHexString(Encoding.ASCII.GetBytes(text));

    private static byte[] Written(ProxyMode mode, string client, string listener, TlsFacts? tls = null, int most = ProxyHeader.MaxBytes)
    {
        byte[] buffer = new byte[ProxyHeader.MaxBytes];
        int length = ProxyHeader.Write(
            buffer, mode, new NativeAddress(IPEndPoint.Parse(client)), new NativeAddress(IPEndPoint.Parse(listener)), tls, most);
        return buffer[..length];
    }
}
