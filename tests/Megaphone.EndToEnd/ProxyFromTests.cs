using System.Net;

namespace Megaphone.EndToEnd;

/// <summary>Clients behind a proxy, which says in a PROXY header who they are.</summary>
public sealed class ProxyFromTests : IDisposable
{
    private const string ProxyFrom = "Ecm:Clients:0:ProxyFrom:0=127.0.0.8/32";
    private const string Named = "PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n";

    private static readonly IPAddress Proxy = IPAddress.Parse("127.0.0.8");

    private readonly TestHub _hub = new();
    private readonly TestCertificates _certificates = new();

    public void Dispose()
    {
        _hub.Dispose();
        _certificates.Dispose();
    }

    [Fact]
    public async Task The_server_hears_of_the_client_that_the_header_names()
    {
        (MegaphoneProcess ecm, LinkPeer link) = await StartAsync();
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await client.SendAsync(Named + "hello");
        Packet opening = await link.ReceiveAsync();
        Assert.Equal($"PROXY TCP4 192.0.2.7 127.0.0.1 50000 {ecm.Clients.Port}\r\n", opening.Text);
        Assert.Equal("hello", (await link.ReceiveAsync()).Text);
        await link.SendAsync(opening.Id, "and you");
        Assert.Equal("and you", await client.ReceiveTextAsync(7));
        End(ecm, link);
    }

    [Fact]
    public async Task A_header_may_come_byte_by_byte_and_name_an_IPv6_address()
    {
        (MegaphoneProcess ecm, LinkPeer link) = await StartAsync();
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        foreach (char one in "PROXY TCP6 2001:db8::7 2001:db8::1 50000 5222\r\nx")
        {
            await client.SendAsync($"{one}");
            await Task.Delay(2);
        }

        Assert.Equal($"PROXY TCP6 2001:db8::7 :: 50000 {ecm.Clients.Port}\r\n", (await link.ReceiveAsync()).Text);
        Assert.Equal("x", (await link.ReceiveAsync()).Text);

        byte[] binary =
        [
            .. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, 0x11, 0, 12 + 4, 192, 0, 2, 9, 198, 51, 100, 1, 0, 80, 0, 81, 0x04, 0, 1, 0,
        ];
        using TestConnection other = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await other.SendAsync(binary.AsMemory(0, 14));
        await Task.Delay(2);
        await other.SendAsync(binary.AsMemory(14));
        Assert.StartsWith("PROXY TCP4 192.0.2.9 ", (await link.ReceiveAsync()).Text, StringComparison.Ordinal);
        End(ecm, link);
    }

    [Fact]
    public async Task From_a_proxy_it_is_required_and_from_elsewhere_it_is_what_the_client_says()
    {
        (MegaphoneProcess ecm, LinkPeer link) = await StartAsync();
        using TestConnection without = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await without.SendAsync("<stream:stream");
        await without.AssertIsGoneAsync();
        using TestConnection half = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await half.SendAsync("PROXY TCP4 192.0");
        half.EndSending();
        await half.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=proxy_header");

        using TestConnection elsewhere = await TestConnection.ConnectAsync(ecm.Clients, IPAddress.Parse("127.0.0.9"));
        await elsewhere.SendAsync(Named);
        Assert.StartsWith("PROXY TCP4 127.0.0.9 ", (await link.ReceiveAsync()).Text, StringComparison.Ordinal);
        Assert.Equal(Named, (await link.ReceiveAsync()).Text);
        End(ecm, link);
    }

    [Fact]
    public async Task Limits_count_the_address_that_is_named()
    {
        (MegaphoneProcess ecm, LinkPeer link) = await StartAsync("Ecm:Limits:PerAddress=1", "Ecm:Limits:Deny:0=203.0.113.0/24");
        using TestConnection first = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await first.SendAsync(Named + "a");
        ulong id = (await link.ReceiveAsync()).Id;
        Assert.Equal("a", (await link.ReceiveAsync()).Text);
        using TestConnection second = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await second.SendAsync(Named);
        await second.AssertIsGoneAsync();
        using TestConnection denied = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await denied.SendAsync("PROXY TCP4 203.0.113.1 198.51.100.1 50000 5222\r\n");
        await denied.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_limited_total", "limit=per_address");
        await ecm.ReachesAsync(1, "megaphone_limited_total", "limit=denied");
        using TestConnection other = await TestConnection.ConnectAsync(ecm.Clients, Proxy);
        await other.SendAsync("PROXY TCP4 192.0.2.8 198.51.100.1 50000 5222\r\n");
        Assert.NotEqual(id, (await link.ReceiveAsync()).Id);
        await ecm.ReachesAsync(0, "megaphone_ecm_handshaking");
        End(ecm, link);
    }

    [Fact]
    public async Task TLS_begins_behind_the_header()
    {
        _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:0:Tls=direct", "Ecm:Clients:0:ProxyFrom:0=127.0.0.0/8", .. _certificates.Settings("localhost")]);
        using TlsClient client = await TlsClient.ConnectPlainAsync(both.Clients);
        await client.SendPlainAsync(Named);
        await client.HandshakeAsync();
        await client.AssertEchoesAsync();
    }

    private async Task<(MegaphoneProcess Ecm, LinkPeer Link)> StartAsync(params string[] settings)
    {
        MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, ["Ecm:Proxy=v1", ProxyFrom, .. settings]);
        LinkPeer link = await _hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        return (ecm, link);
    }

    private static void End(MegaphoneProcess ecm, LinkPeer link)
    {
        link.Dispose();
        ecm.Dispose();
    }
}
