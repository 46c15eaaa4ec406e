using System.Net;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json.Nodes;

namespace Megaphone.EndToEnd;

/// <summary>A reload while there are browsers: WebSockets, requests and relayed connections go on where they stood.</summary>
[SupportedOSPlatform("linux")]
public sealed class WebReloadTests : IDisposable
{
    private const string Header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-reload-").FullName;
    private readonly TestCertificates _certificates = new();
    private readonly List<IDisposable> _opened = [];
    private readonly TestBackend _xmpp = new();
    private TestBackend _http = new();

    public void Dispose()
    {
        _opened.Reverse();
        _opened.ForEach(one => one.Dispose());
        _xmpp.Dispose();
        _http.Dispose();
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private string ConfigFile => Path.Combine(_folder, "megaphone.json");

    [Fact]
    public async Task WebSockets_with_and_without_TLS_go_on_talking()
    {
        _certificates.Issue("localhost", ["localhost"]);
        MegaphoneProcess ecm = await StartAsync(Web(ping: "1s"), Web("127.0.0.2:0", tls: "direct"));
        (BrowserConnection plain, TestConnection ofPlain) = await UpgradedAsync(ecm.ClientListeners[0]);
        (BrowserConnection secured, TestConnection ofSecured) = await UpgradedAsync(ecm.ClientListeners[1], "http/1.1");
        await OpenAsync(secured, ofSecured);
        for (int round = 1; round <= 3; round++)
        {
            await ecm.ReloadAsync(done: round);
            await ecm.HasLinksAsync(1, "ecm");
            await SaysAsync(secured, ofSecured, $"<a n='{round}'/>");
            await IsToldAsync(secured, ofSecured, $"b n='{round}'");
        }

        // Who is silent is still sent pings; and a header that comes late is an <open/>.
        (int opcode, _, byte[] payload) = await plain.ReceiveFrameAsync();
        Assert.Equal((9, 0), (opcode, payload.Length));
        plain.Dispose();
        await ofPlain.AssertIsGoneAsync();
        await secured.SendAsync(BrowserConnection.Frame(8, [0x03, 0xE8]));
        await secured.AssertClosesAsync(1000);
        secured.Dispose();
        await ofSecured.AssertIsGoneAsync();
        await ecm.HasClientsAsync(0);
        MetricsSnapshot metrics = await ecm.MetricsAsync();
        Assert.Equal(2, metrics["megaphone_sessions_opened_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_dropped_packets_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_ecm_incomplete_bytes"]);
    }

    [Fact]
    public async Task Half_a_frame_half_a_message_and_half_a_stanza_are_completed()
    {
        MegaphoneProcess ecm = await StartAsync(Web());
        (BrowserConnection inFrame, TestConnection ofFrame) = await UpgradedAsync(ecm.Clients);
        (BrowserConnection inMessage, TestConnection ofMessage) = await UpgradedAsync(ecm.Clients);
        (BrowserConnection inStanza, TestConnection ofStanza) = await UpgradedAsync(ecm.Clients);
        await OpenAsync(inFrame, ofFrame);
        await OpenAsync(inMessage, ofMessage);
        await OpenAsync(inStanza, ofStanza);

        string message = $"<message><body>{new string('x', 300)}</body></message>";
        byte[] frame = BrowserConnection.Text(message), ping = BrowserConnection.Frame(9, "still there?"u8);
        await inFrame.SendAsync(frame.AsMemory(0, 100));
        await inMessage.SendAsync((byte[])[.. BrowserConnection.Text(message[..50], final: false), .. ping.AsSpan(0, 9)]);
        await ofStanza.SendAsync("<message><bo");
        await ecm.ReachesAsync(3 * 256, "megaphone_ecm_incomplete_bytes");
        await ecm.ReloadAsync(done: 1);
        await ecm.ReachesAsync(3 * 256, "megaphone_ecm_incomplete_bytes");

        // From one into the next frame, and into the next reload.
        await inFrame.SendAsync(frame.AsMemory(100, 150));
        await inMessage.SendAsync((byte[])[.. ping.AsSpan(9), .. BrowserConnection.Frame(0, Encoding.ASCII.GetBytes(message[50..]))[..5]]);
        (int opcode, _, byte[] payload) = await inMessage.ReceiveFrameAsync();
        Assert.Equal((10, "still there?"), (opcode, Encoding.ASCII.GetString(payload)));
        await ofStanza.SendAsync("dy>y</bo");
        await ecm.ReloadAsync(done: 2);

        await inFrame.SendAsync(frame.AsMemory(250));
        await inMessage.SendAsync(BrowserConnection.Frame(0, Encoding.ASCII.GetBytes(message[50..])).AsMemory(5));
        await ofStanza.SendAsync("dy></message>");
        Assert.Equal(message, await ofFrame.ReceiveTextAsync(message.Length));
        Assert.Equal(message, await ofMessage.ReceiveTextAsync(message.Length));
        await inStanza.AssertTextAsync("<message xmlns='jabber:client'><body>y</body></message>");
        await ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_dropped_packets_total", "role=ecm"]);
    }

    [Fact]
    public async Task Half_a_request_is_completed_or_has_its_time_anew()
    {
        MegaphoneProcess ecm = await StartAsync(Web());
        BrowserConnection completes = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        BrowserConnection waits = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        string request = BrowserConnection.Request();
        await completes.SendAsync(request[..40]);
        await waits.SendAsync(request[..40]);
        await ecm.HasClientsAsync(2);
        await ecm.ReloadAsync(done: 1);
        await completes.SendAsync(request[40..60]);
        await ecm.ReloadAsync(done: 2);
        await completes.SendAsync(request[60..]);
        Assert.StartsWith("HTTP/1.1 101 Switching Protocols\r\n", await completes.ReceiveHeadAsync());
        await SaysOpenAsync(completes);
        await ecm.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=no_request");
        await ecm.HasClientsAsync(1);
        await ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
    }

    [Fact]
    public async Task A_relayed_answer_and_a_relayed_upload_go_on_where_they_stood()
    {
        const string Request = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n";
        MegaphoneProcess ecm = await StartAsync(Web());
        byte[] much = new byte[8 << 20];
        new Random(1).NextBytes(much);
        BrowserConnection uploads = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        await uploads.SendAsync(Request);
        TestConnection ofUpload = Keep(await _http.AcceptAsync());
        await ofUpload.ReceiveAsync(28 + Request.Length);
        BrowserConnection downloads = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        await downloads.SendAsync(Request);
        TestConnection ofDownload = Keep(await _http.AcceptAsync());
        await ofDownload.ReceiveAsync(28 + Request.Length);
        BrowserConnection small = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        await small.SendAsync(Request);
        TestConnection ofSmall = Keep(await _http.AcceptAsync());
        await ofSmall.ReceiveAsync(28 + Request.Length);
        await ofSmall.SendAsync("HTTP/1.1 200 OK\r\nContent-Le");

        // Nobody reads what is much, so that it waits in the ECM and in front of it.
        Task uploading = uploads.SendAsync(much), downloading = ofDownload.SendAsync(much);
        await ecm.ReachesAtLeastAsync(128 << 10, "megaphone_buffered_bytes", "role=ecm");
        for (int round = 1; round <= 2; round++)
        {
            await ecm.ReloadAsync(done: round);
            Assert.Equal(much[((round - 1) << 20)..(round << 20)], await ofUpload.ReceiveAsync(1 << 20));
        }

        Assert.Equal(much[(2 << 20)..], await ofUpload.ReceiveAsync(6 << 20));
        await uploading;
        await ofSmall.SendAsync("ngth: 0\r\n\r\n");
        ofSmall.EndSending();
        Assert.Equal("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", await small.ReceiveToEndAsync());
        Task ending = Task.Run(async () =>
        {
            await downloading;
            ofDownload.EndSending();
        });
        Assert.Equal(Encoding.Latin1.GetString(much), await downloads.ReceiveToEndAsync());
        await ending;

        // Each end still ends the other.
        small.Dispose();
        await ofSmall.AssertIsGoneAsync();
        downloads.Dispose();
        ofUpload.Abort();
        await Assert.ThrowsAnyAsync<IOException>(uploads.ReceiveToEndAsync);
        await ecm.HasClientsAsync(0);
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_buffered_bytes", "role=ecm"]);
    }

    [Fact]
    public async Task A_relay_whose_server_has_not_answered_yet_reaches_it()
    {
        _http.Dispose();
        _http = new TestBackend(backlog: 0);
        using TestConnection fills = await TestConnection.ConnectAsync(_http.Address);
        MegaphoneProcess ecm = await StartAsync(Web());
        BrowserConnection client = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        await client.SendAsync("GET / HTTP/1.1\r\n");
        await ecm.ReachesAtLeastAsync(1, "megaphone_buffered_bytes", "role=ecm");
        await ecm.ReloadAsync(done: 1);
        Keep(await _http.AcceptAsync());
        TestConnection server = Keep(await _http.AcceptAsync());
        await server.ReceiveAsync(28);
        Assert.Equal("GET / HTTP/1.1\r\n", await server.ReceiveTextAsync(16));
        await server.SendAsync("at last");
        server.EndSending();
        Assert.Equal("at last", await client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task A_listener_may_become_another_or_go_and_who_came_over_it_stays()
    {
        MegaphoneProcess ecm = await StartAsync(Web());
        (BrowserConnection socket, TestConnection ofSocket) = await UpgradedAsync(ecm.Clients);
        await OpenAsync(socket, ofSocket);
        BrowserConnection relayed = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        await relayed.SendAsync("GET / HTTP/1.1\r\n");
        TestConnection ofRelayed = Keep(await _http.AcceptAsync());
        await ofRelayed.ReceiveAsync(28 + 16);
        BrowserConnection half = Keep(await BrowserConnection.ConnectAsync(ecm.Clients));
        await half.SendAsync(BrowserConnection.Request("Origin: https://example.org")[..40]);
        await ecm.HasClientsAsync(3);

        await WriteAsync(new JsonObject { ["Listen"] = ecm.Clients.ToString(), ["Framing"] = "stanza" });
        await ecm.ReloadAsync(done: 1);
        await SaysAsync(socket, ofSocket, "<a/>");
        await IsToldAsync(socket, ofSocket, "b");
        await relayed.SendAsync("more");
        Assert.Equal("more", await ofRelayed.ReceiveTextAsync(4));
        TestConnection plain = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await plain.SendAsync(Header);
        TestConnection ofPlain = Keep(await _xmpp.AcceptAsync());
        Assert.Equal(Header, await ofPlain.ReceiveTextAsync(Header.Length));

        // No page may begin what its listener would not have allowed.
        await half.SendAsync(BrowserConnection.Request("Origin: https://example.org")[40..]);
        Assert.StartsWith("HTTP/1.1 403 Forbidden\r\n", await half.ReceiveToEndAsync());

        await WriteAsync(Web("127.0.0.1:0"));
        await ecm.ReloadAsync(done: 2);
        await SaysAsync(socket, ofSocket, "<c/>");
        await plain.SendAsync("<d/>");
        Assert.Equal("<d/>", await ofPlain.ReceiveTextAsync(4));
        await ofRelayed.SendAsync("an answer");
        ofRelayed.EndSending();
        Assert.Equal("an answer", await relayed.ReceiveToEndAsync());
    }

    /// <summary>Connects a WebSocket, and begins its stream.</summary>
    private async Task<(BrowserConnection Client, TestConnection Server)> UpgradedAsync(IPEndPoint to, string? alpn = null)
    {
        BrowserConnection client = Keep(await BrowserConnection.UpgradedAsync(to, alpn));
        return (client, await SaysOpenAsync(client));
    }

    private async Task<TestConnection> SaysOpenAsync(BrowserConnection client)
    {
        await client.SendTextAsync(BrowserConnection.Open);
        TestConnection server = Keep(await _xmpp.AcceptAsync());
        Assert.Equal(Header, await server.ReceiveTextAsync(Header.Length));
        return server;
    }

    /// <summary>The server opens its stream, too.</summary>
    private static async Task OpenAsync(BrowserConnection client, TestConnection server)
    {
        await server.SendAsync(Header);
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());
    }

    private static async Task SaysAsync(BrowserConnection client, TestConnection server, string element)
    {
        await client.SendTextAsync(element);
        Assert.Equal(element, await server.ReceiveTextAsync(element.Length));
    }

    private static async Task IsToldAsync(BrowserConnection client, TestConnection server, string tag)
    {
        string name = tag.Split(' ')[0], attributes = tag[name.Length..];
        await server.SendAsync($"<{tag}/>");
        await client.AssertTextAsync($"<{name} xmlns='jabber:client'{attributes}/>");
    }

    private T Keep<T>(T one)
        where T : IDisposable
    {
        _opened.Add(one);
        return one;
    }

    private JsonObject Web(string listen = "127.0.0.1:0", string? tls = null, string ping = "50s")
    {
        JsonObject listener = new()
        {
            ["Listen"] = listen,
            ["Framing"] = "web",
            ["Web"] = new JsonObject { ["Ping"] = ping, ["HttpTo"] = _http.Address.ToString() },
        };
        if (tls is not null) listener["Tls"] = tls;
        return listener;
    }

    private IPEndPoint Hub { get; set; } = new(IPAddress.None, 0);

    private async Task<MegaphoneProcess> StartAsync(params JsonObject[] listeners)
    {
        Hub = Keep(await MegaphoneProcess.HubAsync(_xmpp.Setting)).Hub;
        await WriteAsync(listeners);
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.StartAsync([$"config={ConfigFile}"]));
        await ecm.HasLinksAsync(1, "ecm");
        return ecm;
    }

    private Task WriteAsync(params JsonObject[] listeners)
    {
        JsonObject ecm = new() { ["Clients"] = new JsonArray([.. listeners]), ["Link"] = new JsonObject { ["To"] = Hub.ToString() } };
        if (listeners.Any(listener => listener.ContainsKey("Tls")))
        {
            (string certificate, string key) = _certificates.Files("localhost");
            ecm["Tls"] = new JsonObject { ["Certificates"] = new JsonArray(new JsonObject { ["Certificate"] = certificate, ["Key"] = key }) };
        }

        return File.WriteAllTextAsync(ConfigFile, new JsonObject { ["Ecm"] = ecm }.ToJsonString());
    }
}
