using System.Net;

namespace Megaphone.EndToEnd;

/// <summary>
/// Juliet with the clients that web pages use, in Debian's Chromium, through ECM and module in real ejabberd; Romeo is on TCP.
/// </summary>
public sealed class ChromiumTests(ChromiumTests.Server server) : IClassFixture<ChromiumTests.Server>
{
    private const string Juliet = "juliet@localhost";
    private const string Romeo = "romeo@localhost";

    /// <summary>The origin of the pages.</summary>
    private const string Own = "https://chat.example.org";

    /// <summary>The file for a picture of the conversation: docs/pictures/converse.png is renewed like that.</summary>
    private static readonly string? Picture = Environment.GetEnvironmentVariable("MEGAPHONE_PICTURE");

    [Theory]
    [InlineData("converse", "websocket")]
    [InlineData("converse", "bosh")]
    [InlineData("strophe", "websocket")]
    [InlineData("strophe", "bosh")]
    [InlineData("xmppjs", "websocket")]
    public async Task A_page_finds_the_server_and_loses_nothing_over_a_reload_and_while_its_tab_sleeps(string client, string transport)
    {
        string room = $"{client}-{transport}@conference.localhost";
        using ChildProcess romeo = ChildProcess.Start(
            ["/usr/bin/python3", Client("romeo.py"), "--port", $"{server.Ecm.ClientListeners[1].Port}", "--password", Ejabberd.Password,
                "--room", room]);
        await romeo.LineAsync("ready");
        using ChildProcess juliet = server.StartBrowser(client, transport);
        await DoAsync(juliet, "login", server.Announced[transport]);

        if (client == "converse")
        {
            await DoAsync(juliet, $"type {Romeo} Good night, good night! Parting is such sweet sorrow");
            await DoAsync(juliet, $"type {Romeo} That I shall say good night till it be morrow.");
            await DoAsync(romeo, $"tell {Juliet} Sleep dwell upon thine eyes, peace in thy breast!");
            await DoAsync(juliet, "see peace in thy breast!");
            if (Picture is not null && transport == "websocket") await DoAsync(juliet, $"picture {Path.GetFullPath(Picture, Repository.Root)}");
            await DoAsync(juliet, $"close {Romeo}");
        }

        await DoAsync(juliet, $"join {room}");
        await Task.WhenAll(
            DoAsync(juliet, $"chat {room} 20", "20 messages in order"), DoAsync(romeo, $"chat {room} 20", "20 messages in order"));

        await romeo.WriteLineAsync($"chat {Juliet} 1000");
        await juliet.WriteLineAsync($"chat {Romeo} 1000");
        await juliet.LineAsync("half way");
        await server.ReloadAsync();
        await HasDoneAsync(romeo, $"chat {Juliet} 1000", "1000 messages in order");
        await HasDoneAsync(juliet, $"chat {Romeo} 1000", "1000 messages in order");

        await DoAsync(juliet, "sleep");
        server.Network.CutAll();
        await DoAsync(romeo, "count 10");
        string resumed = transport == "websocket" ? "1 login, 1 resumption" : "1 login, 0 resumption";
        await DoAsync(juliet, $"wake {Romeo} 10", $"10 messages in order, {resumed}");

        await DoAsync(juliet, "logout");
        romeo.CloseInput();
        juliet.CloseInput();
        Assert.Equal((0, 0), (await romeo.EndAsync(), await juliet.EndAsync()));
        await server.Ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task A_page_of_a_foreign_origin_is_turned_away()
    {
        using ChildProcess juliet = server.StartBrowser("strophe", "websocket");
        await DoAsync(juliet, $"visit https://evil.example.org {server.Announced["websocket"]}", "turned away");
        await DoAsync(juliet, $"visit {Own} {server.Announced["websocket"]}", "welcome");
    }

    private static string Client(string name) => Path.Combine(Repository.Root, "tests/clients", name);

    /// <summary>Has somebody do something, with this result.</summary>
    private static async Task DoAsync(ChildProcess person, string what, string result = "done")
    {
        await person.WriteLineAsync(what);
        await HasDoneAsync(person, what, result);
    }

    private static async Task HasDoneAsync(ChildProcess person, string what, string result) =>
        Assert.Equal($"{what}: {result}", await person.LineAsync($"{what}: "));

    /// <summary>ejabberd with the module, and an ECM in front of it where it has its web and TCP clients.</summary>
    public sealed class Server : IAsyncLifetime
    {
        private int _reloads;

        internal Ejabberd Ejabberd { get; private set; } = null!;

        internal MegaphoneProcess Ecm { get; private set; } = null!;

        internal TestCertificates Certificates { get; private set; } = null!;

        /// <summary>Between browser and ECM.</summary>
        internal TcpProxy Network { get; private set; } = null!;

        /// <summary>The addresses that host-meta has, by transport.</summary>
        internal IReadOnlyDictionary<string, string> Announced { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            Certificates = new TestCertificates();
            Certificates.Issue("localhost", ["localhost"]);
            Ejabberd = await Ejabberd.StartWithModuleAsync();
            await Ejabberd.ReconfigureAsync(configuration => configuration.Replace("  mod_muc: {}\n", "  mod_muc: {}\n  mod_bosh: {}\n"));
            (IPEndPoint http, _) = await Ejabberd.AddListenerAsync(
                "module: ejabberd_http", "use_proxy_protocol: true",
                "request_handlers: { /bosh: mod_bosh, /.well-known/host-meta: mod_host_meta }");
            Ecm = await MegaphoneProcess.EcmAsync(
                Ejabberd.LinkListener,
                [
                    "Ecm:Clients:0:Framing=web", "Ecm:Clients:0:Tls=direct", $"Ecm:Clients:0:Web:HttpTo={http}",
                    $"Ecm:Clients:0:Web:Origins:0={Own}", "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Framing=stanza", "Ecm:Proxy=v2",
                    .. Certificates.Settings("localhost"),
                ]);
            Network = new TcpProxy(Ecm.Clients);
            Announced = new Dictionary<string, string>
            {
                ["websocket"] = $"wss://localhost:{Network.Address.Port}/ws",
                ["bosh"] = $"https://localhost:{Network.Address.Port}/bosh",
            };
            await Ejabberd.ReconfigureAsync(configuration => configuration.Replace(
                "  mod_bosh: {}\n",
                $"  mod_bosh: {{}}\n  mod_host_meta:\n    websocket_url: {Announced["websocket"]}\n    bosh_service_url: {Announced["bosh"]}\n"));
            await Ecm.HasLinksAsync(1, "ecm");
        }

        public async Task DisposeAsync()
        {
            Network.Dispose();
            Ecm.Dispose();
            await Ejabberd.DisposeAsync();
            Certificates.Dispose();
        }

        internal ChildProcess StartBrowser(string client, string transport) => ChildProcess.Start(
            ["node", Client("browsers/play.mjs"), client, transport, $"{Network.Address.Port}", Certificates.AuthorityFile, Ejabberd.Password],
            environment: new Dictionary<string, string?> { ["TMPDIR"] = Path.GetDirectoryName(Certificates.AuthorityFile) });

        internal Task ReloadAsync() => Ecm.ReloadAsync(done: ++_reloads);
    }
}
