using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>Real clients with TLS that ends at the ECM, and behind it ejabberd with the module.</summary>
public sealed class TlsModuleTests(ModuleServer server) : IClassFixture<ModuleServer>, IAsyncLifetime, IDisposable
{
    private readonly TestCertificates _certificates = new();
    private MegaphoneProcess _ecm = null!;

    public async Task InitializeAsync()
    {
        _certificates.Issue("localhost", ["localhost"]);
        _ecm = await MegaphoneProcess.StartAsync(
        [
            "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Framing=stanza", "Ecm:Clients:0:Tls=starttls",
            "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Framing=stanza", "Ecm:Clients:1:Tls=direct",
            $"Ecm:Link:To={server.Ejabberd.LinkListener}", "Ecm:Proxy=v2", "Logging:LogLevel:Megaphone.Ecm=Debug",
            .. _certificates.Settings("localhost"),
        ]);
        await _ecm.HasLinksAsync(1, "ecm");
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose()
    {
        _ecm.Dispose();
        _certificates.Dispose();
    }

    [Theory]
    [InlineData("required", 0)]
    [InlineData("direct", 1)]
    public async Task Users_with_slixmpp_exchange_a_thousand_messages_each_way(string how, int listener)
    {
        using ChildProcess chat = server.Ejabberd.Chat(
            _ecm.ClientListeners[listener], how, count: 1000, authority: _certificates.AuthorityFile);

        using JsonDocument verdict = JsonDocument.Parse(await chat.LineAsync("{"));
        Assert.True(verdict.RootElement.GetProperty("ok").GetBoolean(), chat.Said);
        Assert.All(verdict.RootElement.GetProperty("tls").EnumerateArray(), version => Assert.Equal("TLSv1.3", version.GetString()));

        // Name, kind of connection, address, port, …
        string[][] users = [.. (await server.Ejabberd.ControlAsync("connected_users_info")).Select(line => line.Split('\t'))];
        foreach (string address in (string[])["127.0.0.2", "127.0.0.3"])
            Assert.Equal("c2s_tls", users.Single(user => user[2] == address)[1]);
        chat.CloseInput();
        Assert.Equal(0, await chat.EndAsync());
        await _ecm.HasClientsAsync(0);
    }

    [Theory]
    [InlineData("xmpp", 0)]
    [InlineData("xmpps", 1)]
    public async Task Two_users_with_xmpp_js_exchange_messages(string scheme, int listener)
    {
        using ChildProcess client = ChildProcess.Start(
            ["node", Path.Combine(Repository.Root, "tests/clients/xmppjs/tls.mjs"),
                $"{scheme}://localhost:{_ecm.ClientListeners[listener].Port}", Ejabberd.Password, "100"],
            environment: new Dictionary<string, string?> { ["NODE_EXTRA_CA_CERTS"] = _certificates.AuthorityFile });

        Assert.True(await client.EndAsync() == 0, $"{client.Said}\nand the ECM\n{_ecm.Process.Said}");
        Assert.Equal("100 messages, in order", client.Output.Last());
        await _ecm.ReachesAsync(2, "megaphone_ecm_handshakes_total", "result=full");

        // The library may acknowledge what arrives after its own closing tag; that is not a fault.
        await _ecm.HasClientsAsync(0);
        await _ecm.ReachesAsync(0, "megaphone_ecm_stream_errors_total");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_user_with_go_sendxmpp_reaches_another(int listener)
    {
        using ChildProcess romeo = GoSendXmpp(listener, "romeo", "--listen");
        await _ecm.HasClientsAsync(1);
        await BoundedWait.UntilAsync(
            async () => (await server.Ejabberd.ControlAsync("connected_users")).Any(user => user.StartsWith("romeo@", StringComparison.Ordinal)),
            () => $"romeo's login; it said\n{romeo.Said}");

        using ChildProcess juliet = GoSendXmpp(listener, "juliet", "romeo@localhost");
        await juliet.WriteLineAsync("wherefore art thou");
        juliet.CloseInput();

        Assert.True(await juliet.EndAsync() == 0, juliet.Said);
        await BoundedWait.UntilAsync(
            () => Task.FromResult(romeo.Output.Any(line => line.EndsWith("wherefore art thou", StringComparison.Ordinal))),
            () => $"the message; it said\n{romeo.Said}");
    }

    private ChildProcess GoSendXmpp(int listener, string user, params string[] more) => ChildProcess.Start(
        ["go-sendxmpp", "-u", $"{user}@localhost", "-p", Ejabberd.Password, "-j", $"{_ecm.ClientListeners[listener]}",
            .. listener == 1 ? (string[])["--tls"] : [], .. more],
        environment: new Dictionary<string, string?> { ["SSL_CERT_FILE"] = _certificates.AuthorityFile });
}
