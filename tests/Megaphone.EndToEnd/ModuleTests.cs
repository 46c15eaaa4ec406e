using System.Globalization;

namespace Megaphone.EndToEnd;

/// <summary>Real clients, through the ECM and the module ejabberd_megaphone, and on ejabberd's own port: it is the same.</summary>
public sealed class ModuleTests(ModuleTests.Server server) : IClassFixture<ModuleTests.Server>
{
    /// <summary>The most seconds that a transcript takes.</summary>
    private static readonly TimeSpan Evening = TimeSpan.FromSeconds(90);

    [Theory]
    [InlineData("scram", 5000)]
    [InlineData("plain", 50)]
    public Task Users_with_slixmpp_see_the_same_as_on_ejabberds_own_port(string mechanism, int messages) =>
        AssertSameAsync(port => ["/usr/bin/python3", Client("slixmpp_chat.py"), "--port", port, "--password", Ejabberd.Password,
            "--sasl", mechanism, "--count", $"{messages}"], $"{messages} numbered messages from juliet@localhost/balcony, in order");

    [Fact]
    public Task Users_with_slixmpp_whose_sessions_hibernate_all_the_time_see_the_same_as_on_ejabberds_own_port() =>
        AssertSameAsync(port => ["/usr/bin/python3", Client("slixmpp_chat.py"), "--port", port, "--password", Ejabberd.Password,
            "--count", "20", "--rest", "1.3"], "20 numbered messages from juliet@localhost/balcony, in order");

    [Theory]
    [InlineData("SCRAM-SHA-1", 1000)]
    [InlineData("PLAIN", 50)]
    public Task Users_with_xmpp_js_see_the_same_as_on_ejabberds_own_port(string mechanism, int messages) =>
        AssertSameAsync(port => ["node", Client("xmppjs/chat.mjs"), port, Ejabberd.Password, mechanism, $"{messages}"],
            $"{messages} numbered messages from juliet@localhost/balcony, in order");

    [Fact]
    public Task Users_with_mcabber_see_the_same_as_on_ejabberds_own_port() =>
        AssertSameAsync(port => ["/usr/bin/python3", Client("mcabber_chat.py"), port, Ejabberd.Password, "100"],
            "MR 100 of 100: this is romeo");

    [Theory]
    [InlineData("v1")]
    [InlineData("v2")]
    public async Task Ejabberd_gets_the_users_real_addresses(string proxy)
    {
        using MegaphoneProcess ecm = await server.EcmAsync($"Ecm:Proxy={proxy}");

        using ChildProcess chat = server.Ejabberd.Chat(ecm.Clients, "disabled", count: 10);
        await chat.LineAsync("{\"ok\": true");

        // Name, kind of connection, address, port, …
        string[][] users = [.. (await server.Ejabberd.ControlAsync("connected_users_info")).Select(line => line.Split('\t'))];
        Assert.Equal(2, users.Length);
        Assert.Equal("127.0.0.2", users.Single(user => user[0].StartsWith("juliet@", StringComparison.Ordinal))[2]);
        Assert.Equal("127.0.0.3", users.Single(user => user[0].StartsWith("romeo@", StringComparison.Ordinal))[2]);
        Assert.All(users, user => Assert.InRange(int.Parse(user[3], CultureInfo.InvariantCulture), 1, 65535));
        chat.CloseInput();
        Assert.Equal(0, await chat.EndAsync());
    }

    private static string Client(string name) => Path.Combine(Repository.Root, "tests/clients", name);

    /// <summary>Runs a client program through ECM and module, and on ejabberd's own port: both write the same.</summary>
    private async Task AssertSameAsync(Func<string, IReadOnlyList<string>> command, string awaited)
    {
        string[] transcripts = new string[2];
        int[] ports = [server.Direct, server.Ecm.Clients.Port];
        for (int i = 0; i < ports.Length; i++)
        {
            using ChildProcess client = ChildProcess.Start(command(ports[i].ToString(CultureInfo.InvariantCulture)));
            int status = await client.EndAsync(Evening);
            Assert.True(status == 0, $"On port {ports[i]} it ended with {status}:\n{client.Said}");
            transcripts[i] = string.Join('\n', client.Output);
        }

        Assert.Contains(awaited, transcripts[0], StringComparison.Ordinal);
        Assert.Equal(transcripts[0], transcripts[1]);
        await server.Ecm.HasClientsAsync(0);
        await server.Ecm.ReachesAsync(0, "megaphone_buffered_bytes");
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        Assert.Equal(0, (await server.Ecm.MetricsAsync())["megaphone_protocol_errors_total", "role=ecm"]);
    }

    /// <summary>An ejabberd with the module, and an ECM in front of it.</summary>
    public sealed class Server : IAsyncLifetime
    {
        internal Ejabberd Ejabberd { get; private set; } = null!;

        internal MegaphoneProcess Ecm { get; private set; } = null!;

        /// <summary>The port to which clients come without Megaphone.</summary>
        internal int Direct { get; private set; }

        public async Task InitializeAsync()
        {
            Ejabberd = await Ejabberd.StartWithModuleAsync("hibernate_after: 1");
            Direct = (await Ejabberd.AddListenerAsync(
                "module: ejabberd_c2s", "max_stanza_size: 262144", "shaper: none", "backlog: 1024")).Address.Port;
            Ecm = await EcmAsync();
        }

        public async Task DisposeAsync()
        {
            Ecm.Dispose();
            await Ejabberd.DisposeAsync();
        }

        internal async Task<MegaphoneProcess> EcmAsync(params string[] settings)
        {
            MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(Ejabberd.LinkListener, ["Ecm:Clients:0:Framing=stanza", .. settings]);
            await ecm.HasLinksAsync(1, "ecm");
            return ecm;
        }
    }
}
