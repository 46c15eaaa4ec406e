using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>What is no WebSocket is relayed to a server for HTTP, byte by byte behind a PROXY header.</summary>
public sealed class HttpRelayTests
{
    /// <summary>A request for a WebSocket, but for its last line.</summary>
    private const string Upgrade =
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n";

    [Theory]
    [InlineData("GET /other HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")]
    [InlineData("what is this")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n" + Upgrade + "\r\n")]
    [InlineData("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n" + Upgrade + "\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + Upgrade + "\r\n")]
    public async Task Bytes_pass_both_ways_behind_a_header_that_names_the_client(string request)
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await client.SendAsync(request);
        using TestConnection server = await setup.Server.AcceptAsync();
        byte[] header = await server.ReceiveAsync(28);
        byte[] port = [(byte)(client.Address.Port >> 8), (byte)client.Address.Port];
        Assert.Equal([.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1, .. port], header[..26]);
        Assert.Equal(request, await server.ReceiveTextAsync(request.Length));

        await server.SendAsync("an answer");
        server.EndSending();
        Assert.Equal("an answer", await client.ReceiveToEndAsync());
        client.Dispose();
        await server.AssertIsGoneAsync();
        await setup.Ecm.HasClientsAsync(0);
    }

    [Theory]
    [InlineData("Content-Length: 0\r\n\r\n")]
    [InlineData("Content-Length: 4\r\n\r\nbody")]
    [InlineData("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("\r\nGET /secret HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("Host: b\r\n\r\n")]
    [InlineData(" folded\r\n\r\n")]
    public async Task What_asks_for_a_WebSocket_and_can_be_read_in_two_ways_reaches_neither_server(string rest)
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await client.SendAsync(Upgrade + rest);
        Assert.StartsWith("HTTP/1.1 400 Bad Request\r\n", await client.ReceiveToEndAsync());
        Assert.Equal(0, (await setup.Ecm.MetricsAsync())["megaphone_ecm_web_clients", "kind=relayed"]);
        Assert.False(setup.Server.HasWaiting);
        await setup.Link.AssertStaysSilentAsync();
    }

    [Fact]
    public async Task Much_passes_both_ways_however_slow_a_reader_is()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Buffers:HighBytes=65536", "Ecm:Buffers:LowBytes=16384");
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        byte[] much = new byte[8 << 20];
        new Random(1).NextBytes(much);
        "POST"u8.CopyTo(much);
        Task sending = client.SendAsync(much);
        using TestConnection server = await setup.Server.AcceptAsync();
        await setup.Ecm.ReachesAtLeastAsync(65_536, "megaphone_buffered_bytes", "role=ecm");
        Assert.InRange((await setup.Ecm.MetricsAsync())["megaphone_buffered_bytes", "role=ecm"], 65_536, 65_536 + (64 << 10));
        await server.ReceiveAsync(28);
        Assert.Equal(much, await server.ReceiveAsync(much.Length));
        await sending;

        Task answering = server.SendAsync(much);
        await setup.Ecm.ReachesAtLeastAsync(1, "megaphone_buffered_bytes", "role=ecm");
        Task<string> reading = Task.Run(async () =>
        {
            await answering;
            server.EndSending();
            return "";
        });
        Assert.Equal(Encoding.Latin1.GetString(much), await client.ReceiveToEndAsync());
        await reading;
    }

    [Fact]
    public async Task Clients_are_counted_by_what_they_have_asked_for()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection socket = await BrowserConnection.UpgradedAsync(setup.Ecm.Clients);
        using BrowserConnection one = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        using BrowserConnection other = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await one.SendAsync("GET / HTTP/1.1\r\n");
        await other.SendAsync("GET / HTTP/1.1\r\n");
        await setup.Ecm.ReachesAsync(2, "megaphone_ecm_web_clients", "kind=relayed");
        await setup.Ecm.ReachesAsync(1, "megaphone_ecm_web_clients", "kind=websocket");

        using TestConnection first = await setup.Server.AcceptAsync();
        first.Abort();
        await setup.Ecm.ReachesAsync(1, "megaphone_ecm_web_clients", "kind=relayed");
        await setup.Ecm.ReachesAsync(1, "megaphone_ecm_web_clients", "kind=websocket");
    }

    [Fact]
    public async Task Without_the_server_the_client_is_told_so()
    {
        using Setup setup = await Setup.StartAsync();
        setup.Server.Dispose();
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 502 Bad Gateway\r\n", await client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task A_relay_survives_its_links_and_either_end_ends_the_other()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Link:Resume=false");
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await client.SendAsync("GET / HTTP/1.1\r\n");
        using TestConnection server = await setup.Server.AcceptAsync();
        await server.ReceiveAsync(28 + 16);
        setup.Link.Abort();
        await setup.Ecm.ReachesAsync(0, "megaphone_links", "role=ecm");
        await client.SendAsync("more");
        Assert.Equal("more", await server.ReceiveTextAsync(4));
        server.Abort();
        await Assert.ThrowsAnyAsync<IOException>(client.ReceiveToEndAsync);
        await setup.Ecm.HasClientsAsync(0);
    }

    /// <summary>An ECM with a listener for the web, the other end of its link, and a server for HTTP.</summary>
    private sealed class Setup(MegaphoneProcess ecm, TestHub hub, LinkPeer link, TestBackend server) : IDisposable
    {
        public MegaphoneProcess Ecm => ecm;

        public LinkPeer Link => link;

        public TestBackend Server => server;

        public static async Task<Setup> StartAsync(params string[] settings)
        {
            TestHub hub = new();
            TestBackend server = new();
            MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
                hub.Address, ["Ecm:Clients:0:Framing=web", $"Ecm:Clients:0:Web:HttpTo={server.Address}", .. settings]);
            LinkPeer link = await hub.AcceptAsync();
            await ecm.HasLinksAsync(1, "ecm");
            return new Setup(ecm, hub, link, server);
        }

        public void Dispose()
        {
            ecm.Dispose();
            hub.Dispose();
            link.Dispose();
            server.Dispose();
        }
    }
}
