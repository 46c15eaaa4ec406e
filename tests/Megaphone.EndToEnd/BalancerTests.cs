using System.Net;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>Users behind HAProxy and nginx, which name them in PROXY headers, with an ECM and ejabberd behind.</summary>
public sealed class BalancerTests(BalancerTests.Server server) : IClassFixture<BalancerTests.Server>
{
    private static readonly string[] Tls = ["disabled", "required", "direct"];

    [Theory]
    [InlineData("haproxy v1", "disabled")]
    [InlineData("haproxy v1", "required")]
    [InlineData("haproxy v1", "direct")]
    [InlineData("haproxy v2", "disabled")]
    [InlineData("haproxy v2", "required")]
    [InlineData("haproxy v2", "direct")]
    [InlineData("haproxy v2 with fields", "disabled")]
    [InlineData("haproxy v2 with fields", "required")]
    [InlineData("haproxy v2 with fields", "direct")]
    [InlineData("haproxy that ends TLS, v2 with fields", "direct")]
    [InlineData("nginx", "disabled")]
    [InlineData("nginx", "required")]
    [InlineData("nginx", "direct")]
    public async Task Users_log_in_with_addresses_of_their_own_which_ejabberd_sees_and_limits_count(string proxy, string tls)
    {
        IPEndPoint front = server.Front(proxy, tls);
        long limited = (await server.Ecm.MetricsAsync())["megaphone_limited_total", "limit=per_address"];
        using ChildProcess chat = server.Ejabberd.Chat(front, tls, count: 5, authority: server.Authority);
        JsonElement verdict = JsonDocument.Parse(await chat.LineAsync("{")).RootElement;
        Assert.True(verdict.GetProperty("ok").GetBoolean(), $"{verdict}");

        // Name, kind of connection, address, port, …
        string[][] users = [.. (await server.Ejabberd.ControlAsync("connected_users_info")).Select(line => line.Split('\t'))];
        Assert.Equal(
            ["juliet@localhost 127.0.0.2", "romeo@localhost 127.0.0.3"],
            users.Select(user => $"{user[0].Split('/')[0]} {user[2]}").Order(StringComparer.Ordinal));
        bool proxyEndsTls = proxy.Contains("ends TLS", StringComparison.Ordinal);
        Assert.All(users, user => Assert.Equal(tls == "disabled" || proxyEndsTls ? "c2s" : "c2s_tls", user[1]));

        // One connection for each address: juliet has hers. A proxy that ends TLS would wait for a handshake before it brings another.
        Assert.Equal(limited, (await server.Ecm.MetricsAsync())["megaphone_limited_total", "limit=per_address"]);
        if (!proxyEndsTls)
        {
            using TestConnection second = await TestConnection.ConnectAsync(front, IPAddress.Parse("127.0.0.2"));
            await second.AssertIsGoneAsync();
            await server.Ecm.ReachesAsync(limited + 1, "megaphone_limited_total", "limit=per_address");
        }

        chat.CloseInput();
        Assert.Equal(0, await chat.EndAsync());
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        await server.Ecm.ReachesAsync(0, "megaphone_clients_logged_in");
    }

    [Fact]
    public async Task A_header_from_elsewhere_is_no_XMPP()
    {
        // Each from an address of its own: one may have a single connection, and the one before may not be gone yet.
        for (int i = 0; i < 2; i++)
        {
            using TestConnection client = await TestConnection.ConnectAsync(server.Ecm.ClientListeners[i], IPAddress.Parse($"127.0.0.{9 + i}"));
            await client.SendAsync("PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n" + XmppClient.Header);
            Assert.Matches("<stream:error><(bad-format|not-well-formed) ", Encoding.UTF8.GetString(await client.ReceiveToEndAsync()));
        }

        using TestConnection direct = await TestConnection.ConnectAsync(server.Ecm.ClientListeners[2], IPAddress.Parse("127.0.0.11"));
        await direct.SendAsync("PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n");
        await direct.AssertIsGoneAsync();
    }

    [Fact]
    public async Task A_proxy_that_looks_whether_somebody_is_there_does_no_harm()
    {
        await server.Ecm.ReachesAtLeastAsync(100, "megaphone_ecm_handshakes_total", "result=abandoned");
        Assert.Equal(0, (await server.Ecm.MetricsAsync())["megaphone_refused_total", "role=ecm", "reason=proxy_header"]);
        Assert.All(server.Ecm.Complaints(), line => Assert.Contains("per_address", line, StringComparison.Ordinal));
        Assert.DoesNotContain(server.Ejabberd.Complaints, line => line.Contains("[error]") || line.Contains("[critical]"));
    }

    /// <summary>An ejabberd, an ECM with a listener for each kind of TLS, and the proxies in front of that.</summary>
    public sealed class Server : IAsyncLifetime, IDisposable
    {
        private const string Fields = "send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id";

        private static readonly string[] AtEcm = ["none", "starttls", "direct"];
        private static readonly string[] Versions = ["send-proxy", "send-proxy-v2", Fields];

        private readonly TestCertificates _certificates = new();
        private FrontProxy _haproxy = null!;
        private FrontProxy _nginx = null!;

        internal Ejabberd Ejabberd { get; private set; } = null!;

        internal MegaphoneProcess Ecm { get; private set; } = null!;

        internal string Authority => _certificates.AuthorityFile;

        public async Task InitializeAsync()
        {
            _certificates.Issue("localhost", ["localhost"]);
            (string certificate, string key) = _certificates.Files("localhost");
            string both = certificate + ".both";
            await File.WriteAllTextAsync(both, await File.ReadAllTextAsync(key) + "\n" + await File.ReadAllTextAsync(certificate));
            Ejabberd = await Ejabberd.StartWithModuleAsync("proxy_header: required");
            string[] listeners =
            [
                .. AtEcm.SelectMany((tls, i) => new[]
                {
                    $"Ecm:Clients:{i}:Listen=127.0.0.1:0", $"Ecm:Clients:{i}:Framing=stanza", $"Ecm:Clients:{i}:Tls={tls}",
                    $"Ecm:Clients:{i}:ProxyFrom:0={FrontProxy.Source}/32",
                }),
            ];
            Ecm = await MegaphoneProcess.StartAsync(
                [.. listeners, $"Ecm:Link:To={Ejabberd.LinkListener}", "Ecm:Proxy=v2", "Ecm:Limits:PerAddress=1",
                    $"Ecm:Limits:Exempt:0={FrontProxy.Source}/32", .. _certificates.Settings("localhost")]);
            await Ecm.HasLinksAsync(1, "ecm");
            _haproxy = await FrontProxy.HaProxyAsync(
                [.. Versions.SelectMany(version => Ecm.ClientListeners.Select(to => ("", version, to))),
                    ($"ssl crt {both}", Fields, Ecm.Clients)]);
            _nginx = await FrontProxy.NginxAsync([.. Ecm.ClientListeners]);
        }

        public async Task DisposeAsync()
        {
            _nginx?.Dispose();
            _haproxy?.Dispose();
            Ecm?.Dispose();
            await Ejabberd.DisposeAsync();
        }

        public void Dispose() => _certificates.Dispose();

        internal IPEndPoint Front(string proxy, string tls)
        {
            int kind = Array.IndexOf(Tls, tls);
            return proxy switch
            {
                "haproxy v1" => _haproxy.Listeners[kind],
                "haproxy v2" => _haproxy.Listeners[3 + kind],
                "haproxy v2 with fields" => _haproxy.Listeners[6 + kind],
                "haproxy that ends TLS, v2 with fields" => _haproxy.Listeners[9],
                _ => _nginx.Listeners[kind],
            };
        }
    }
}
