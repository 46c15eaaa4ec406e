using System.Net;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>Users in browsers, through ECM and module in real ejabberd: over WebSocket, and over BOSH through the relay.</summary>
public sealed class BrowserTests(BrowserTests.Server server) : IClassFixture<BrowserTests.Server>
{
    /// <summary>The most seconds that a transcript takes.</summary>
    private static readonly TimeSpan Evening = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task Users_over_WebSocket_log_in_and_talk_to_each_other()
    {
        using WebUser juliet = await WebUser.LogInAsync(server.Ecm.Clients, "juliet");
        using WebUser romeo = await WebUser.LogInAsync(server.Ecm.Clients, "romeo");
        const int Messages = 100;
        string filling = new('x', 20_000);
        for (int i = 0; i < Messages; i++)
        {
            string text = $"{i}: \u00e4\u20ac \U0001F339 {(i % 10 == 0 ? filling : "")}";
            await juliet.SendAsync($"<message xmlns='jabber:client' type='chat' to='romeo@localhost/web'><body>{text}</body></message>");
            string received = await romeo.ReceiveAsync("<message");
            Assert.Contains("from='juliet@localhost/web'", received);
            Assert.Contains($"<body>{text}</body>", received);
            Assert.Contains("xmlns='jabber:client'", received);
        }

        await juliet.LogOutAsync();
        await romeo.LogOutAsync();
        await server.Ecm.HasClientsAsync(0);
    }

    [Theory]
    [InlineData("SCRAM-SHA-1", 300)]
    [InlineData("PLAIN", 20)]
    public async Task Users_with_xmpp_js_over_WebSocket_see_the_same_as_at_ejabberds_own(string mechanism, int messages)
    {
        string[] addresses = [$"ws://{server.Ecm.Clients}/ws", $"ws://{server.Direct}/ws"];
        string[] transcripts = new string[2];
        for (int i = 0; i < addresses.Length; i++)
        {
            using ChildProcess client = ChildProcess.Start(
                ["node", Path.Combine(Repository.Root, "tests/clients/xmppjs/chat.mjs"), addresses[i], Ejabberd.Password, mechanism, $"{messages}"]);
            int status = await client.EndAsync(Evening);
            Assert.True(status == 0, $"At {addresses[i]} it ended with {status}:\n{client.Said}");
            transcripts[i] = string.Join('\n', client.Output);
        }

        Assert.Contains($"{messages} numbered messages from juliet@localhost/balcony, in order", transcripts[0], StringComparison.Ordinal);
        Assert.Equal(transcripts[1], transcripts[0]);
        await server.Ecm.HasClientsAsync(0);
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_load_generators_users_log_in_stay_and_write_to_each_other_at_the_ECM_and_at_ejabberds_own(bool directly)
    {
        using ChildProcess bench = ChildProcess.Start(
        [
            Repository.Binary, "bench", "xmpp", "--to", $"{(directly ? server.Direct : server.Ecm.Clients)}", "--web", "ws", "--sessions", "100",
            "--open-after", "0.5", "--stream-management", "yes", "--hold", "1", "--keepalives", "200", "--messages", "300",
            "--message-bytes", "2000", "--json", "-",
        ]);
        int status = await bench.EndAsync(Evening);
        Assert.True(status == 0, $"It ended with {status}:\n{bench.Said}");
        JsonElement result = JsonDocument.Parse(string.Join('\n', bench.Output)).RootElement;
        Assert.Equal(100, result.GetProperty("logged_in").GetInt32());
        Assert.Equal(300, result.GetProperty("messages_arrived").GetInt32());
        Assert.Equal(0, result.GetProperty("messages_misplaced").GetInt32());
        await server.Ecm.HasClientsAsync(0);
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    [Fact]
    public async Task A_user_over_WebSocket_logs_in_to_a_server_behind_a_hub_that_knows_only_TCP()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            "Ecm:Clients:0:Framing=web", "Ecm:Proxy=v2", $"Hub:Backend=tcp://{server.Ejabberd.ProxyListener}");
        using WebUser juliet = await WebUser.LogInAsync(both.Clients, "juliet");
        await juliet.SendAsync("<message xmlns='jabber:client' type='chat' to='juliet@localhost/web'><body>to myself</body></message>");
        Assert.Contains("<body>to myself</body>", await juliet.ReceiveAsync("<message xmlns='jabber:client'"));
        await juliet.LogOutAsync();
        await both.HasClientsAsync(0);
    }

    [Fact]
    public async Task A_WebSocket_that_ends_without_close_leaves_a_session_to_resume()
    {
        string id;
        using (WebUser before = await WebUser.LogInAsync(server.Ecm.Clients, "juliet"))
        {
            await before.SendAsync("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
            id = (await before.ReceiveAsync("<enabled")).Split(" id='")[1].Split('\'')[0];
        }

        await server.Ecm.HasClientsAsync(0);
        using WebUser after = await WebUser.AuthenticateAsync(server.Ecm.Clients, "juliet");
        await after.SendAsync($"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{id}'/>");
        await after.ReceiveAsync("<resumed");
        await after.LogOutAsync();
    }

    [Fact]
    public async Task A_WebSocket_that_ends_with_close_leaves_none()
    {
        string id;
        using (WebUser before = await WebUser.LogInAsync(server.Ecm.Clients, "juliet"))
        {
            await before.SendAsync("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
            id = (await before.ReceiveAsync("<enabled")).Split(" id='")[1].Split('\'')[0];
            await before.LogOutAsync();
        }

        using WebUser after = await WebUser.AuthenticateAsync(server.Ecm.Clients, "juliet");
        await after.SendAsync($"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{id}'/>");
        Assert.Contains("<item-not-found", await after.ReceiveAsync("<failed"));
        await after.LogOutAsync();
    }

    [Fact]
    public async Task Ejabberd_gets_a_WebSocket_users_real_address_and_reports_it_as_such()
    {
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        using WebUser juliet = await WebUser.LogInAsync(server.Ecm.Clients, "juliet", ("X-Forwarded-For", "203.0.113.7"));
        string[][] users = [.. (await server.Ejabberd.ControlAsync("connected_users_info")).Select(line => line.Split('\t'))];
        string[] user = users.Single(user => user[0].StartsWith("juliet@", StringComparison.Ordinal));
        Assert.Equal(("websocket", "203.0.113.7"), (user[1], user[2]));
        await juliet.LogOutAsync();
    }

    [Fact]
    public async Task Ejabberd_gets_the_address_that_HAProxy_gives_in_a_PROXY_header()
    {
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        using TestCertificates certificates = new();
        certificates.Issue("proxy", ["localhost"]);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            server.Ejabberd.LinkListener, "Ecm:Clients:0:Framing=web", $"Ecm:Clients:0:ProxyFrom:0={FrontProxy.Source}/32", "Ecm:Proxy=v2",
            "Ecm:Link:Name=behind-haproxy");
        await ecm.HasLinksAsync(1, "ecm");
        using FrontProxy proxy = await FrontProxy.HaProxyAsync(($"ssl crt {certificates.Bundle("proxy")}", "send-proxy-v2", ecm.Clients));
        using SocketsHttpHandler handler = new() { ConnectCallback = HttpProxyTests.ConnectFromHomeAsync };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=proxy";
        using HttpMessageInvoker http = new(handler);
        using WebUser juliet = await WebUser.LogInAsync(WebUser.Address("wss", proxy.Listeners[0]), "juliet", http);

        string[][] users = [.. (await server.Ejabberd.ControlAsync("connected_users_info")).Select(line => line.Split('\t'))];
        string[] user = Assert.Single(users);
        Assert.Equal(("juliet@localhost/web", "websocket", $"{HttpProxyTests.Home}"), (user[0], user[1], user[2]));
        await juliet.LogOutAsync();
    }

    [Fact]
    public async Task BOSH_through_the_relay_is_ejabberds_own()
    {
        using HttpClient http = new() { BaseAddress = new Uri($"http://{server.Ecm.Clients}"), Timeout = BoundedWait.Limit };
        string opened = await PostAsync(
            "<body rid='1' to='localhost' wait='30' hold='1' content='text/xml; charset=utf-8' ver='1.6' xmpp:version='1.0' "
            + "xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh'/>");
        Assert.Contains("<stream:features", opened);
        string sid = opened.Split("sid='")[1].Split('\'')[0];
        string answer = await PostAsync(
            $"<body rid='2' sid='{sid}' xmlns='http://jabber.org/protocol/httpbind'>"
            + $"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{WebUser.Plain("romeo")}</auth></body>");
        Assert.Contains("<success", answer);

        async Task<string> PostAsync(string body)
        {
            using StringContent content = new(body, Encoding.UTF8, "text/xml");
            using HttpResponseMessage response = await http.PostAsync(new Uri("/bosh", UriKind.Relative), content);
            return await response.Content.ReadAsStringAsync();
        }
    }

    /// <summary>ejabberd with the module and BOSH, and an ECM in front of it.</summary>
    public sealed class Server : IAsyncLifetime
    {
        internal Ejabberd Ejabberd { get; private set; } = null!;

        internal MegaphoneProcess Ecm { get; private set; } = null!;

        /// <summary>Where ejabberd itself speaks XMPP over WebSocket.</summary>
        internal IPEndPoint Direct { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            Ejabberd = await Ejabberd.StartWithModuleAsync("hibernate_after: 1");
            await Ejabberd.ReconfigureAsync(configuration => configuration.Replace("  mod_muc: {}\n", "  mod_muc: {}\n  mod_bosh: {}\n"));
            (IPEndPoint http, _) = await Ejabberd.AddListenerAsync(
                "module: ejabberd_http", "use_proxy_protocol: true", "request_handlers: { /bosh: mod_bosh }");
            (Direct, _) = await Ejabberd.AddListenerAsync(
                "module: ejabberd_http", "backlog: 1024", "request_handlers: { /ws: ejabberd_http_ws }");
            Ecm = await MegaphoneProcess.EcmAsync(
                Ejabberd.LinkListener, "Ecm:Clients:0:Framing=web", $"Ecm:Clients:0:Web:HttpTo={http}", "Ecm:Proxy=v2",
                "Ecm:Clients:0:Web:ForwardedFrom:0=127.0.0.0/8");
            await Ecm.HasLinksAsync(1, "ecm");
        }

        public async Task DisposeAsync()
        {
            Ecm.Dispose();
            await Ejabberd.DisposeAsync();
        }
    }
}
