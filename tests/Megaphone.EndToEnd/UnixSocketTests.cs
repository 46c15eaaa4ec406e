using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text.Json.Nodes;

namespace Megaphone.EndToEnd;

/// <summary>Clients who connect over a Unix socket, through a proxy or by themselves, and links over one.</summary>
[SupportedOSPlatform("linux")]
public sealed class UnixSocketTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-unix-").FullName;
    private readonly List<IDisposable> _opened = [];

    public void Dispose()
    {
        _opened.Reverse();
        _opened.ForEach(one => one.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    private string ClientsPath => Path.Combine(_folder, "clients.sock");

    private string ConfigFile => Path.Combine(_folder, "megaphone.json");

    [Fact]
    public async Task Clients_come_and_go_and_the_server_hears_no_address_of_them()
    {
        TestHub hub = Keep(new TestHub());
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.EcmAsync(
            hub.Address, $"Ecm:Clients:0:Listen=unix:{ClientsPath}", "Ecm:Proxy=v1", "Ecm:Limits:PerAddress=1", "Ecm:Limits:Allow:0=192.0.2.0/24",
            "Logging:LogLevel:Default=Debug"));
        LinkPeer link = Keep(await hub.AcceptAsync());
        await ecm.HasLinksAsync(1, "ecm");
        Assert.Contains($"megaphone ready ecm=unix:{ClientsPath} ", ecm.Process.Said);
        Assert.Equal(Convert.ToInt32("660", 8), (int)File.GetUnixFileMode(ClientsPath));

        // What path a client binds is its own choice.
        List<TestConnection> clients = [];
        foreach (string? from in (string?[])[null, Path.Combine(_folder, "a-client-that-calls-itself-something"), null])
        {
            TestConnection client = Keep(await TestConnection.ConnectToAsync(ClientsPath, from));
            clients.Add(client);
            Packet opening = await link.ReceiveAsync();
            Assert.Equal("PROXY UNKNOWN\r\n", opening.Text);
            await client.SendAsync("hello");
            Assert.Equal("hello", (await link.ReceiveAsync()).Text);
            await link.SendAsync(opening.Id, "and you");
            Assert.Equal("and you", await client.ReceiveTextAsync(7));
        }

        await ecm.ReachesAsync(3, "megaphone_listener_clients", $"listener=unix:{ClientsPath}");
        foreach (TestConnection client in clients) client.Dispose();
        await ecm.HasClientsAsync(0);
        await BoundedWait.UntilAsync(
            () => ecm.LogLines($" from unix at unix:{ClientsPath}, no TLS, has gone after ") == 3, "the clients' last lines in the log");
        Assert.Equal(0, ecm.LogLines("calls-itself-something"));
        link.Dispose();
        await ecm.StopAsync();
        Assert.False(File.Exists(ClientsPath));
    }

    [Fact]
    public async Task Whatever_a_client_sends_and_however_slowly_it_reads_nothing_is_lost()
    {
        MegaphoneProcess both = Keep(await MegaphoneProcess.BothAsync($"Ecm:Clients:1:Listen=unix:{ClientsPath}"));
        TestConnection client = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        byte[] bytes = new byte[8 << 20];
        new Random(1).NextBytes(bytes);
        Task sending = client.SendAsync(bytes);
        for (int at = 0; at < bytes.Length;)
        {
            int count = Math.Min(bytes.Length - at, Random.Shared.Next(1, 300_000));
            await AssertReceivesAsync(client, bytes, at, count);
            at += count;
        }

        await sending;
        client.EndSending();
        await client.AssertEndsAsync();
        await both.HasClientsAsync(0);
        Assert.Empty(both.Complaints());
    }

    [Fact]
    public async Task Behind_a_proxy_a_client_is_whom_its_header_names_though_that_comes_byte_by_byte()
    {
        TestHub hub = Keep(new TestHub());
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.EcmAsync(
            hub.Address, $"Ecm:Clients:0:Listen=unix:{ClientsPath}", "Ecm:Clients:0:ProxyFrom:0=unix", "Ecm:Clients:0:SocketMode=0600",
            "Ecm:Proxy=v1", "Ecm:Limits:PerAddress=1", "Ecm:Limits:Deny:0=203.0.113.0/24"));
        LinkPeer link = Keep(await hub.AcceptAsync());
        await ecm.HasLinksAsync(1, "ecm");
        Assert.Equal(Convert.ToInt32("600", 8), (int)File.GetUnixFileMode(ClientsPath));

        TestConnection first = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        foreach (char one in "PROXY TCP6 2001:db8::7 2001:db8::1 50000 5222\r\nx") await first.SendAsync($"{one}");
        Assert.Equal("PROXY TCP6 2001:db8::7 :: 50000 0\r\n", (await link.ReceiveAsync()).Text);
        Assert.Equal("x", (await link.ReceiveAsync()).Text);

        TestConnection second = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        byte[] binary = [.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, 0x11, 0, 12, 192, 0, 2, 9, 198, 51, 100, 1, 0xC3, 0x50, 0, 81, .. "y"u8];
        await second.SendAsync(binary.AsMemory(0, 20));
        await Task.Delay(20);
        await second.SendAsync(binary.AsMemory(20));
        Assert.Equal("PROXY TCP4 192.0.2.9 0.0.0.0 50000 0\r\n", (await link.ReceiveAsync()).Text);
        Assert.Equal("y", (await link.ReceiveAsync()).Text);

        TestConnection third = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        await third.SendAsync("PROXY TCP4 192.0.2.9 198.51.100.1 50001 5222\r\n");
        await third.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_limited_total", "limit=per_address");
        TestConnection denied = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        await denied.SendAsync("PROXY TCP4 203.0.113.1 198.51.100.1 50001 5222\r\n");
        await denied.AssertIsGoneAsync();
        TestConnection without = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        await without.SendAsync("<stream:stream");
        await without.AssertIsGoneAsync();
        TestConnection half = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        await half.SendAsync("PROXY TCP4 192.0");
        half.EndSending();
        await half.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=proxy_header");

        // The proxy itself, looking whether somebody is there.
        TestConnection own = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        await own.SendAsync((byte[])[.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x20, 0x00, 0, 0]);
        Assert.Equal("PROXY UNKNOWN\r\n", (await link.ReceiveAsync()).Text);
        await ecm.ReachesAsync(0, "megaphone_ecm_handshaking");
    }

    [Fact]
    public async Task HAProxy_brings_clients_over_it()
    {
        MegaphoneProcess both = Keep(await MegaphoneProcess.BothAsync(
            $"Ecm:Clients:1:Listen=unix:{ClientsPath}", "Ecm:Clients:1:ProxyFrom:0=unix", "Ecm:Limits:Deny:0=127.0.0.9/32"));
        FrontProxy front = Keep(await FrontProxy.HaProxyAsync(
            ("", "send-proxy", new UnixDomainSocketEndPoint(ClientsPath)), ("", "send-proxy-v2", new UnixDomainSocketEndPoint(ClientsPath))));
        for (int i = 0; i < 2; i++)
        {
            TestConnection client = Keep(await TestConnection.ConnectAsync(front.Listeners[i]));
            await client.AssertEchoesAsync();
            TestConnection denied = Keep(await TestConnection.ConnectAsync(front.Listeners[i], System.Net.IPAddress.Parse("127.0.0.9")));
            await denied.AssertIsGoneAsync();
        }

        await both.ReachesAsync(2, "megaphone_limited_total", "limit=denied");
        Assert.Equal(0, (await both.MetricsAsync())["megaphone_refused_total", "role=ecm", "reason=proxy_header"]);
    }

    [Fact]
    public async Task A_proxy_that_speaks_HTTP_names_the_clients_of_WebSockets()
    {
        TestHub hub = Keep(new TestHub());
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.EcmAsync(
            hub.Address, $"Ecm:Clients:0:Listen=unix:{ClientsPath}", "Ecm:Clients:0:Framing=web", "Ecm:Clients:0:Web:ForwardedFrom:0=unix",
            "Ecm:Proxy=v1"));
        LinkPeer link = Keep(await hub.AcceptAsync());
        await ecm.HasLinksAsync(1, "ecm");
        foreach ((string field, string header) in (IEnumerable<(string, string)>)
            [
                ("X-Forwarded-For: 203.0.113.7\r\n", "PROXY TCP4 203.0.113.7 0.0.0.0 0 0\r\n"),
                ("X-Forwarded-For: 198.51.100.1, 2001:db8::7\r\n", "PROXY TCP6 2001:db8::7 :: 0 0\r\n"),
                ("", "PROXY UNKNOWN\r\n"),
            ])
        {
            TestConnection client = Keep(await TestConnection.ConnectToAsync(ClientsPath));
            await client.SendAsync(
                "GET /ws HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + $"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n{field}\r\n");
            Assert.Equal("HTTP/1.1 101 ", await client.ReceiveTextAsync(13));
            Assert.Equal(header, (await link.ReceiveAsync()).Text);
        }
    }

    [Fact]
    public async Task TLS_ends_here_for_clients_that_a_proxy_brings_and_stays_through_a_reload()
    {
        TestCertificates certificates = Keep(new TestCertificates());
        certificates.Issue("localhost", ["localhost"]);
        MegaphoneProcess both = Keep(await MegaphoneProcess.BothAsync(
        [
            $"Ecm:Clients:1:Listen=unix:{ClientsPath}", "Ecm:Clients:1:ProxyFrom:0=unix", "Ecm:Clients:1:Tls=direct",
            .. certificates.Settings("localhost"),
        ]));
        FrontProxy front = Keep(await FrontProxy.HaProxyAsync(("", "send-proxy-v2", new UnixDomainSocketEndPoint(ClientsPath))));
        TlsClient client = Keep(await TlsClient.ConnectAsync(front.Listeners[0]));
        await client.AssertEchoesAsync();
        await both.ReloadAsync(done: 1);
        await both.HasLinksAsync(1, "ecm");
        await client.AssertEchoesAsync();
        TlsClient next = Keep(await TlsClient.ConnectAsync(front.Listeners[0]));
        await next.AssertEchoesAsync();
    }

    [Fact]
    public async Task A_reload_keeps_everybody_and_the_path_and_one_that_is_taken_out_goes_with_its_file()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        string others = Path.Combine(_folder, "others.sock");
        await WriteAsync(hub, ClientsPath, others);
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.StartAsync([$"config={ConfigFile}"]));
        await ecm.HasLinksAsync(1, "ecm");
        TestConnection client = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        TestConnection other = Keep(await TestConnection.ConnectToAsync(others));
        await client.AssertEchoesAsync();
        await other.AssertEchoesAsync();

        await ecm.ReloadAsync(done: 1);
        await ecm.HasLinksAsync(1, "ecm");
        await AssertAllEchoAsync();

        // A file that somebody has removed is made anew.
        File.Delete(others);
        await ecm.ReloadAsync(done: 2);
        await ecm.HasLinksAsync(1, "ecm");
        await AssertAllEchoAsync();

        // A path that cannot be listened on leaves everything as it is.
        await WriteAsync(hub, ClientsPath, others, Path.Combine(_folder, "missing", "more.sock"));
        await ecm.ReloadAsync(refused: 1, because: $"there is no folder {_folder}/missing");
        await AssertAllEchoAsync();

        await WriteAsync(hub, ClientsPath);
        await ecm.ReloadAsync(done: 3);
        await ecm.HasLinksAsync(1, "ecm");
        Assert.False(File.Exists(others));
        await other.AssertEchoesAsync();
        await ecm.ReachesAsync(1, "megaphone_listener_clients", "listener=closed");
        TestConnection last = Keep(await TestConnection.ConnectToAsync(ClientsPath));
        await last.AssertEchoesAsync();
        await ecm.StopAsync();
        Assert.False(File.Exists(ClientsPath));

        async Task AssertAllEchoAsync()
        {
            await client.AssertEchoesAsync();
            await other.AssertEchoesAsync();
            foreach (string path in (string[])[ClientsPath, others])
            {
                using TestConnection next = await TestConnection.ConnectToAsync(path);
                await next.AssertEchoesAsync();
            }
        }
    }

    [Fact]
    public async Task After_a_kill_it_starts_again_and_a_second_one_and_a_file_of_another_kind_are_left_alone()
    {
        string[] settings =
        [
            $"Ecm:Clients:0:Listen=unix:{ClientsPath}", "Ecm:Link:To=127.0.0.1:1", "Admin:Listen=127.0.0.1:0",
        ];
        using (MegaphoneProcess killed = await MegaphoneProcess.StartAsync(settings)) await killed.KillAsync();
        Assert.True(File.Exists(ClientsPath));
        MegaphoneProcess again = Keep(await MegaphoneProcess.StartAsync(settings));
        using (TestConnection refused = await TestConnection.ConnectToAsync(ClientsPath)) await refused.AssertIsGoneAsync();

        (ChildProcess second, int status) = await MegaphoneProcess.RunAsync([.. MegaphoneProcess.Arguments(settings)]);
        Assert.Equal(1, status);
        Assert.Equal(
            $"megaphone: Ecm:Clients:0:Listen \"unix:{ClientsPath}\": another process listens on it; `ss -xlp 'src = {ClientsPath}'` shows which; "
            + "end that, or write another path",
            Assert.Single(second.Errors));
        (ChildProcess check, _) = await MegaphoneProcess.RunAsync(["check", .. MegaphoneProcess.Arguments(settings)]);
        Assert.Contains($"unix:{ClientsPath}: a Megaphone, process {again.Process.Id}, listens there already", check.Said);
        using (TestConnection refused = await TestConnection.ConnectToAsync(ClientsPath)) await refused.AssertIsGoneAsync();
        await again.StopAsync();

        await File.WriteAllTextAsync(ClientsPath, "somebody's");
        (ChildProcess other, status) = await MegaphoneProcess.RunAsync([.. MegaphoneProcess.Arguments(settings)]);
        Assert.Equal(1, status);
        Assert.Contains($"Ecm:Clients:0:Listen \"unix:{ClientsPath}\": a file is there that is no socket; ", Assert.Single(other.Errors));
        Assert.Equal("somebody's", await File.ReadAllTextAsync(ClientsPath));
    }

    [Fact]
    public async Task Links_over_a_Unix_socket_are_taken_up_again_after_a_reload_of_either_end_and_come_back_after_a_kill()
    {
        string links = Path.Combine(_folder, "links.sock");
        string[] listen = [$"Hub:Listen=unix:{links}", "Hub:SocketMode=0600"];
        MegaphoneProcess hub = Keep(await MegaphoneProcess.StartAsync(listen));
        Assert.Contains($"megaphone ready hub=unix:{links} ", hub.Process.Said);
        Assert.Equal(Convert.ToInt32("600", 8), (int)File.GetUnixFileMode(links));
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To=unix:{links}", "Ecm:Link:RetryMax=500ms"]));
        await ecm.ReachesAsync(1, "megaphone_link_up", $"server=unix:{links}");
        MegaphoneProcess next;
        using (TestConnection client = await TestConnection.ConnectAsync(ecm.Clients))
        {
            byte[] bytes = new byte[4 << 20];
            new Random(2).NextBytes(bytes);
            Task sending = client.SendAsync(bytes);
            await AssertReceivesAsync(client, bytes, 0, 100_000);
            await hub.ReloadAsync(done: 1);
            await AssertReceivesAsync(client, bytes, 100_000, 2_000_000);
            await ecm.ReloadAsync(done: 1);
            await AssertReceivesAsync(client, bytes, 2_100_000, bytes.Length - 2_100_000);
            await sending;
            await client.AssertEchoesAsync();
            await ecm.ReachesAtLeastAsync(1, "megaphone_link_reconnects_total", $"server=unix:{links}", "result=resumed");
            await hub.KillAsync();

            // The next one knows nothing of the session.
            next = Keep(await MegaphoneProcess.StartAsync(listen));
            await client.AssertIsGoneAsync();
        }

        await ecm.HasLinksAsync(1, "ecm");
        TestConnection last = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await last.AssertEchoesAsync();
        (ChildProcess check, _) = await MegaphoneProcess.RunAsync(
            ["check", .. MegaphoneProcess.Arguments(["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To=unix:{links}", "Admin=false"])]);
        Assert.Matches($"unix:{links}: .+ welcomes a link; ", check.Said);
        await next.StopAsync();
        Assert.False(File.Exists(links));
    }

    [Fact]
    public async Task Both_roles_of_a_process_link_over_one_too()
    {
        MegaphoneProcess both = Keep(await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Hub:Listen=unix:{Path.Combine(_folder, "links.sock")}"]));
        await both.HasLinksAsync(1, "ecm");
        TestConnection client = Keep(await TestConnection.ConnectAsync(both.Clients));
        await client.AssertEchoesAsync();
    }

    private static async Task AssertReceivesAsync(TestConnection client, byte[] all, int from, int count)
    {
        byte[] received = await client.ReceiveAsync(count);
        Assert.True(received.AsSpan().SequenceEqual(all.AsSpan(from, count)), $"what comes from byte {from} on is what was sent");
    }

    private T Keep<T>(T one)
        where T : IDisposable
    {
        _opened.Add(one);
        return one;
    }

    private Task WriteAsync(MegaphoneProcess hub, params string[] paths) => File.WriteAllTextAsync(ConfigFile, new JsonObject
    {
        ["Ecm"] = new JsonObject
        {
            ["Clients"] = new JsonArray([.. paths.Select(path => new JsonObject { ["Listen"] = $"unix:{path}" })]),
            ["Link"] = new JsonObject { ["To"] = $"{hub.Hub}", ["RetryMax"] = "500ms" },
        },
        ["Admin"] = new JsonObject { ["Listen"] = "127.0.0.1:0" },
    }.ToJsonString());
}
