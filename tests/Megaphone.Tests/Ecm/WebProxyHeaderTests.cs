using System.Net;
using Megaphone.Ecm;
using Megaphone.Interop;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Ecm;

/// <summary>The PROXY header of a connection for the web: as it is accepted, and as its request says who the client is.</summary>
public class WebProxyHeaderTests
{
    private const string Signature = "0D0A0D0A000D0A515549540A21";
    private const string Tls = "20" + "0019" + "01" + "00000001" + "21" + "0007" + "544C5376312E33" + "23" + "0007" + "6369706865727A";

    private static readonly TlsFacts Facts = new("TLSv1.3", "cipherz", null, null, Resumed: false)
    {
        Exporter = new byte[32],
        ServerEndPoint = new byte[32],
        Unique = new byte[12],
    };

    [Fact]
    public void A_relay_begins_with_addresses_and_TLS_and_no_channel_bindings() =>
        Assert.Equal(Signature + "11" + "0028" + "C0000207" + "C6336401" + "C350" + "01BB" + Tls, Hex(Accepted(Facts)));

    [Fact]
    public void A_WebSocket_session_says_that_it_is_one() => Assert.Equal(
        Signature + "11" + "002C" + "C0000207" + "C6336401" + "C350" + "01BB" + "E0000101" + Tls, Of("192.0.2.7", speaksTls: null, Facts));

    [Fact]
    public void A_client_behind_a_proxy_has_no_port_and_its_TLS_is_what_the_proxy_says()
    {
        Assert.Equal(Signature + "11" + "0010" + "CB007107" + "C6336401" + "0000" + "01BB" + "E0000101", Of("203.0.113.7", speaksTls: false, Facts));
        Assert.Equal(
            Signature + "11" + "0018" + "CB007107" + "C6336401" + "0000" + "01BB" + "E0000101" + "2000050100000001",
            Of("203.0.113.7", speaksTls: true, null));
    }

    [Fact]
    public void A_client_of_the_other_family_leaves_the_listeners_address_out() => Assert.Equal(
        Signature + "21" + "0028" + "20010DB8000000000000000000000007" + "00000000000000000000000000000000" + "0000" + "01BB" + "E0000101",
        Of("2001:db8::7", speaksTls: null, null));

    [Fact]
    public void Of_a_client_of_a_Unix_socket_no_address_is_told_but_what_a_proxy_names()
    {
        byte[] room = new byte[ProxyHeader.MaxBytes], accepted = new byte[ProxyHeader.MaxBytes];
        NativeAddress unix = NativeAddress.Unix;
        int length = WebProxyHeader.Write(accepted, unix, unix, Facts);
        Assert.Equal(Signature + "00" + "001C" + Tls, Hex(accepted[..length]));
        Assert.True(WebProxyHeader.IsAtFront(accepted.AsSpan(0, length)));
        Assert.Equal(length, WebProxyHeader.LengthOf(accepted));
        Assert.Null(WebProxyHeader.ClientOf(accepted));

        length = WebProxyHeader.WriteWebSocket(room, ProxyMode.V2, accepted.AsSpan(0, length), client: null, speaksTls: null);
        Assert.Equal(Signature + "00" + "0020" + "E0000101" + Tls, Hex(room[..length]));
        length = WebProxyHeader.WriteWebSocket(room, ProxyMode.V2, accepted, IPAddress.Parse("203.0.113.7"), speaksTls: false);
        Assert.Equal(Signature + "11" + "0010" + "CB007107" + "00000000" + "0000" + "0000" + "E0000101", Hex(room[..length]));
    }

    [Fact]
    public void Version_1_has_the_address_alone()
    {
        byte[] room = new byte[ProxyHeader.MaxBytes];
        int length = WebProxyHeader.WriteWebSocket(room, ProxyMode.V1, Accepted(Facts), IPAddress.Parse("203.0.113.7"), speaksTls: true);
        Assert.Equal("PROXY TCP4 203.0.113.7 198.51.100.1 0 443\r\n", System.Text.Encoding.ASCII.GetString(room, 0, length));
    }

    [Fact]
    public void A_header_that_is_too_long_to_wait_does_without_the_names_that_the_client_asked_for()
    {
        TlsFacts tls = new("TLSv1.3", "TLS_AES_128_GCM_SHA256", new string('x', 255), "http/1.1", Resumed: false);
        byte[] room = new byte[ProxyHeader.MaxBytes];
        int length = WebProxyHeader.WriteWebSocket(
            room, ProxyMode.V2, Accepted(tls), IPAddress.Parse("192.0.2.7"), speaksTls: null, PacedClient.MaxHeaderBytes);
        Assert.Equal(Of("192.0.2.7", speaksTls: null, tls with { ServerName = null, Protocol = null }), Hex(room[..length]));
    }

    private static byte[] Accepted(TlsFacts? tls)
    {
        byte[] room = new byte[ProxyHeader.MaxBytes];
        NativeAddress client = new(IPEndPoint.Parse("192.0.2.7:50000")), listener = new(IPEndPoint.Parse("198.51.100.1:443"));
        int length = WebProxyHeader.Write(room, client, listener, tls);
        Assert.Equal(length, WebProxyHeader.LengthOf(room));
        Assert.Equal(IPAddress.Parse("192.0.2.7"), WebProxyHeader.ClientOf(room));
        return room[..length];
    }

    private static string Of(string client, bool? speaksTls, TlsFacts? tls)
    {
        byte[] room = new byte[ProxyHeader.MaxBytes];
        return Hex(room[..WebProxyHeader.WriteWebSocket(room, ProxyMode.V2, Accepted(tls), IPAddress.Parse(client), speaksTls)]);
    }

    private static string Hex(byte[] bytes) => Convert.ToHexString(bytes);
}
