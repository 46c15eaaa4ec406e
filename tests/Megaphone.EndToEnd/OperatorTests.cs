using System.Net;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json.Nodes;

namespace Megaphone.EndToEnd;

/// <summary>What operators ask the running service, and order, over its socket.</summary>
[SupportedOSPlatform("linux")]
public sealed class OperatorTests : IDisposable
{
    private const string Stream = XmppClient.Header;

    private const string Kicked =
        "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";

    private static readonly IPAddress Other = IPAddress.Parse("127.0.0.9");

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-operator-").FullName;
    private readonly TestCertificates _certificates = new();
    private readonly List<IDisposable> _opened = [];

    private string SocketPath => Path.Combine(_folder, "admin.sock");

    public void Dispose()
    {
        _opened.Reverse();
        _opened.ForEach(one => one.Dispose());
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Clients_are_listed_with_what_is_known_of_them()
    {
        _certificates.Issue("localhost", ["localhost"]);
        MegaphoneProcess both = await BothAsync(
            ["Ecm:Clients:1:Framing=stanza", "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Tls=direct", .. _certificates.Settings("localhost")]);
        TestConnection silent = Keep(await TestConnection.ConnectAsync(both.Clients));
        TestConnection plain = Keep(await TestConnection.ConnectAsync(both.Clients, Other));
        await plain.AssertEchoesAsync(Stream);
        TlsClient secured = Keep(await TlsClient.ConnectAsync(both.ClientListeners[1]));
        await secured.AssertEchoesAsync(Stream);
        await both.HasClientsAsync(3);

        JsonNode all = await AskJsonAsync("clients");
        Assert.Equal(3, (int)all["count"]!);
        JsonNode[] clients = [.. all["clients"]!.AsArray().Select(one => one!)];
        JsonNode first = Find(silent.Local), second = Find(plain.Local), third = Find((IPEndPoint)secured.Socket.LocalEndPoint!);
        Assert.Equal(("not logged in", "logged in", "logged in"), (Text(first, "state"), Text(second, "state"), Text(third, "state")));
        Assert.Equal([both.Clients.ToString(), both.ClientListeners[1].ToString()], [Text(second, "listener"), Text(third, "listener")]);
        Assert.Null(second["tls"]);
        Assert.StartsWith("TLSv1.3 ", Text(third, "tls"), StringComparison.Ordinal);
        Assert.All(clients, one => Assert.InRange((int)one["ageSeconds"]!, 0, 90));

        // The kernel counts what has arrived there when it hears of that.
        await BoundedWait.UntilAsync(
            async () =>
            {
                JsonNode plainly = Assert.Single((await AskJsonAsync("clients", "--address", "127.0.0.9"))["clients"]!.AsArray())!;
                return ((int)plainly["bytesIn"]!, (int)plainly["bytesOut"]!) == (Stream.Length, Stream.Length);
            },
            () => "all bytes to be counted");

        // Only some of them, and for people.
        Assert.Equal(Text(second, "id"), Text(Assert.Single((await AskJsonAsync("clients", "--address", "127.0.0.9"))["clients"]!.AsArray())!, "id"));
        Assert.Equal(3, (int)(await AskJsonAsync("clients", "--address", "127.0.0.0/24", "--limit", "1"))["count"]!);
        IReadOnlyList<string> lines = await AskAsync("clients", "--limit", "2");
        Assert.Matches("^ID +ADDRESS +LISTENER +TLS +AGE +IDLE +SERVER +STATE +IN +OUT$", lines[0]);
        Assert.Equal("2 of 3 clients", lines[^1]);
        Assert.Equal(4, lines.Count);

        // They are the same after a reload, and as old.
        await both.ReloadAsync(done: 1);
        JsonNode afterwards = await AskJsonAsync("clients");
        Assert.Equal(
            clients.Select(one => Text(one, "id")).Order(), afterwards["clients"]!.AsArray().Select(one => Text(one!, "id")).Order());
        Assert.Equal("done", Text((await AskJsonAsync("status"))["reloads"]!["last"]![0]!, "result"));
        Assert.Equal(1, (await both.MetricsAsync())["megaphone_listener_clients", $"listener={both.ClientListeners[1]}"]);

        JsonNode Find(IPEndPoint address) => Assert.Single(clients, one => Text(one, "address") == address.ToString());
    }

    [Fact]
    public async Task A_client_is_kicked_by_its_id_or_with_all_from_its_network()
    {
        MegaphoneProcess both = await BothAsync();
        List<TestConnection> here = [.. await TestConnection.ConnectManyAsync(both.Clients, 10)];
        List<TestConnection> there = [];
        for (int i = 0; i < 10; i++) there.Add(await TestConnection.ConnectAsync(both.Clients, Other));
        _opened.AddRange(here.Concat(there));
        foreach (TestConnection client in here.Concat(there)) await client.AssertEchoesAsync(Stream);

        JsonNode one = (await AskJsonAsync("clients", "--limit", "100"))["clients"]!.AsArray()
            .Single(client => Text(client!, "address") == here[0].Local.ToString())!;
        Assert.Equal([$"client {Text(one, "id")} is ended"], await AskAsync("kick", Text(one, "id")));
        Assert.Equal(Kicked, Encoding.UTF8.GetString(await here[0].ReceiveToEndAsync()));
        here[0].Dispose();
        await both.HasClosedAsync(1, "ecm", "kicked");
        await both.HasSessionsAsync(19);

        Assert.Equal(["127.0.0.9/32: 10 clients are ended"], await AskAsync("kick", "--address", "127.0.0.9/32"));
        foreach (TestConnection client in there)
        {
            Assert.Equal(Kicked, Encoding.UTF8.GetString(await client.ReceiveToEndAsync()));
            client.Dispose();
        }

        await both.HasClosedAsync(11, "ecm", "kicked");
        await both.HasSessionsAsync(9);
        foreach (TestConnection client in here.Skip(1)) await client.AssertEchoesAsync("<a/>");
        Assert.Equal(["megaphone: there is no client 17; megaphone clients lists those that there are"], await AskInVainAsync("kick", "17"));
    }

    [Fact]
    public async Task Those_whom_a_proxy_brings_are_known_by_the_address_that_it_has_named()
    {
        MegaphoneProcess both = await BothAsync("Ecm:Clients:0:ProxyFrom:0=127.0.0.0/8");
        List<TestConnection> clients = [];
        foreach (int host in (int[])[7, 8])
        {
            TestConnection client = Keep(await TestConnection.ConnectAsync(both.Clients));
            await client.SendAsync($"PROXY TCP4 192.0.2.{host} 198.51.100.1 50000 5222\r\n");
            await client.AssertEchoesAsync(Stream);
            clients.Add(client);
        }

        JsonNode found = Assert.Single((await AskJsonAsync("clients", "--address", "192.0.2.8"))["clients"]!.AsArray())!;
        Assert.Equal(("192.0.2.8", clients[1].Local.ToString()), (Text(found, "address"), Text(found, "proxy")));
        Assert.Equal(["127.0.0.0/8: 0 clients are ended"], await AskAsync("kick", "--address", "127.0.0.0/8"));
        await both.ReloadAsync(done: 1);
        Assert.Equal(["192.0.2.8/32: 1 client is ended"], await AskAsync("kick", "--address", "192.0.2.8"));
        Assert.Equal(Kicked, Encoding.UTF8.GetString(await clients[1].ReceiveToEndAsync()));
        await clients[0].AssertEchoesAsync("<a/>");
    }

    [Fact]
    public async Task A_drain_is_taken_back_before_it_has_ended()
    {
        MegaphoneProcess both = await BothAsync();
        List<TestConnection> clients = [.. await TestConnection.ConnectManyAsync(both.Clients, 20)];
        _opened.AddRange(clients);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync(Stream);

        Assert.Equal(["draining: no new clients, and those who are there are ended within 10m"], await AskAsync("drain", "--over", "10m"));
        Assert.Equal("draining", Text(await AskJsonAsync("status"), "state"));
        Assert.Equal((503, "draining\n"), await both.GetAsync("/readyz"));
        Assert.Equal(["megaphone: it is draining or stopping already"], await AskInVainAsync("drain"));
        using (TestConnection refused = await TestConnection.ConnectAsync(both.Clients)) await refused.AssertIsGoneAsync();

        Assert.Equal(["new clients are served"], await AskAsync("undrain"));
        await BoundedWait.UntilAsync(async () => await both.GetAsync("/readyz") == (200, "ready\n"), () => "readiness");
        await Keep(await TestConnection.ConnectAsync(both.Clients)).AssertEchoesAsync(Stream);
        foreach (TestConnection client in clients.Skip(2)) await client.AssertEchoesAsync("<a/>");

        // It can be reloaded again, and drained.
        await both.ReloadAsync(done: 1);
        await AskAsync("drain", "--over", "0s");
        await both.HasSessionsAsync(0);
    }

    [Fact]
    public async Task One_server_is_drained_and_the_others_take_its_clients()
    {
        MegaphoneProcess[] hubs = [Keep(await MegaphoneProcess.HubAsync("Hub:Name=a")), Keep(await MegaphoneProcess.HubAsync("Hub:Name=b"))];
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.StartAsync(
        [
            "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Framing=stanza", $"Ecm:Link:To:0={hubs[0].Hub}", $"Ecm:Link:To:1={hubs[1].Hub}",
            $"Admin:Socket={SocketPath}", "Admin:Listen=127.0.0.1:0",
        ]));
        await ecm.HasLinksAsync(2, "ecm");
        List<TestConnection> clients = [.. await TestConnection.ConnectManyAsync(ecm.Clients, 20)];
        _opened.AddRange(clients);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync(Stream);
        await hubs[0].HasSessionsAsync(10);

        Assert.Equal(
            [$"draining {hubs[0].Hub}: no new clients there, and its 10 clients are ended within 500ms"],
            await AskAsync("drain", "--server", hubs[0].Hub.ToString(), "--over", "500ms"));
        await hubs[0].HasSessionsAsync(0);
        await hubs[1].HasSessionsAsync(10);
        Assert.Equal((200, $"ready\n{hubs[0].Hub} is drained by an operator\n"), await ecm.GetAsync("/readyz"));
        List<TestConnection> more = [.. await TestConnection.ConnectManyAsync(ecm.Clients, 10)];
        _opened.AddRange(more);
        foreach (TestConnection client in more) await client.AssertEchoesAsync(Stream);
        await hubs[1].HasSessionsAsync(20);

        await AskAsync("undrain");
        Assert.Equal((200, "ready\n"), await ecm.GetAsync("/readyz"));
        await Keep(await TestConnection.ConnectAsync(ecm.Clients)).AssertEchoesAsync(Stream);
        await hubs[0].HasSessionsAsync(1);
        Assert.Equal(
            [$"megaphone: there is no server \"nowhere:1\" in Ecm:Link:To; there is {hubs[0].Hub}, {hubs[1].Hub}"],
            await AskInVainAsync("drain", "--server", "nowhere:1"));
    }

    [Fact]
    public async Task A_hub_that_is_drained_no_more_gets_sessions_on_the_links_that_it_has()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync($"Admin:Socket={SocketPath}", "Admin:Listen=127.0.0.1:0"));
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.EcmAsync(hub.Hub));
        await ecm.HasLinksAsync(1, "ecm");
        TestConnection before = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await before.AssertEchoesAsync();

        await AskAsync("drain");
        await BoundedWait.UntilAsync(
            async () => await ecm.GetAsync("/readyz") == (503, $"every link to {hub.Hub} is draining\n"), () => "the ECM to know");
        Assert.Equal(["new clients are served"], await AskAsync("undrain"));
        await BoundedWait.UntilAsync(async () => await ecm.GetAsync("/readyz") == (200, "ready\n"), () => "the ECM to be ready");
        await Keep(await TestConnection.ConnectAsync(ecm.Clients)).AssertEchoesAsync();
        await before.AssertEchoesAsync();
        await hub.HasSessionsAsync(2);
    }

    [Fact]
    public async Task A_status_is_the_same_for_people_for_scripts_and_for_the_page()
    {
        MegaphoneProcess both = await BothAsync();
        await Keep(await TestConnection.ConnectAsync(both.Clients)).AssertEchoesAsync(Stream);
        JsonNode status = await AskJsonAsync("status");
        JsonNode page = JsonNode.Parse((await both.GetAsync("/status.json")).Body)!;
        Assert.Equal(Text(page["roles"]![0]!, "role"), Text(status["roles"]![0]!, "role"));
        Assert.Equal((1, 1), ((int)page["roles"]![0]!["connected"]!, (int)page["roles"]![1]!["connected"]!));
        JsonNode link = Assert.Single(status["roles"]![0]!["links"]!.AsArray())!;
        Assert.Equal(("up", 1), (Text(link, "state"), (int)link["sessions"]!));
        Assert.InRange((double)link["roundTripSeconds"]!, 0.000001, 10);
        Assert.True((long)link["ringCapacity"]! > 0);

        IReadOnlyList<string> lines = await AskAsync("status");
        Assert.Matches(@"^megaphone \S+, process \d+: ready, for \d+s$", lines[0]);
        Assert.Contains(lines, line => line.StartsWith("ECM: 1 client, 1 logged in, 0 in handshakes", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("Hub: 1 session", StringComparison.Ordinal));

        (int code, string html) = await both.GetAsync("/");
        Assert.Equal(200, code);
        Assert.StartsWith("<!doctype html>", html, StringComparison.Ordinal);

        // Nobody's address, and no configuration.
        Assert.DoesNotContain(_folder, page.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(404, (await both.GetAsync("/clients")).Status);
    }

    [Fact]
    public async Task What_is_logged_changes_until_the_next_reload()
    {
        MegaphoneProcess both = await BothAsync();
        await Keep(await TestConnection.ConnectAsync(both.Clients)).AssertEchoesAsync(Stream);
        Assert.Equal(
            ["Megaphone.Hub is logged from Debug on, until the next reload"], await AskAsync("loglevel", "Megaphone.Hub", "debug"));
        await Keep(await TestConnection.ConnectAsync(both.Clients)).AssertEchoesAsync(Stream);
        await BoundedWait.UntilAsync(() => both.LogLines(" dbug: Megaphone.Hub.") > 0, "a line");
        JsonNode configured = (await AskJsonAsync("config"))["values"]!.AsArray()
            .Single(value => Text(value!, "key") == "Logging:LogLevel:Megaphone.Hub")!;
        Assert.Equal(("Debug", "megaphone loglevel"), (Text(configured, "value"), Text(configured, "origin")));

        await both.ReloadAsync(done: 1);
        Assert.DoesNotContain(
            (await AskJsonAsync("config"))["values"]!.AsArray(), value => Text(value!, "key") == "Logging:LogLevel:Megaphone.Hub");
        Assert.Equal(
            ["megaphone: the level \"loud\" must be Trace, Debug, Information, Warning, Error, Critical or None; for example Information"],
            await AskInVainAsync(2, "loglevel", "Default", "loud"));
    }

    [Fact]
    public async Task The_configuration_is_told_with_its_sources_and_without_its_secrets()
    {
        await BothAsync("Hub:Secret=nobody is to read this", "Ecm:MaxClients=1234");
        JsonArray values = (await AskJsonAsync("config"))["values"]!.AsArray();
        JsonNode most = values.Single(value => Text(value!, "key") == "Ecm:MaxClients")!;
        Assert.Equal(("1234", "--Ecm:MaxClients"), (Text(most, "value"), Text(most, "origin")));
        Assert.Equal("(a secret)", Text(values.Single(value => Text(value!, "key") == "Hub:Secret")!, "value"));
        IReadOnlyList<string> lines = await AskAsync("config");
        Assert.Contains(lines, line => line.StartsWith("Ecm:CloseRate ", StringComparison.Ordinal) && line.EndsWith(" default"));
        Assert.DoesNotContain(lines, line => line.Contains("nobody is to read", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Where_nothing_answers_that_is_told_in_words()
    {
        Assert.Equal(
            [$"megaphone: {SocketPath}: there is no such file; no service runs with this as Admin:Socket. Start it, or name its file: "
                + "--Admin:Socket PATH, or --config FILE"],
            await AskInVainAsync("status"));

        MegaphoneProcess both = await BothAsync();
        await both.KillAsync();
        Assert.Equal(
            [$"megaphone: {SocketPath}: nobody listens on it; the service that made it runs no more, or has another Admin:Socket now"],
            await AskInVainAsync("clients"));

        (ChildProcess wrong, int status) = await MegaphoneProcess.RunAsync(["clients", "--Ecm:MaxClients", "5"]);
        Assert.Equal((2, 1), (status, wrong.Errors.Count));
    }

    [Fact]
    public async Task Who_may_not_write_to_the_socket_is_told_so()
    {
        await BothAsync();
        bool isRoot = Environment.UserName == "root";
        string binary = Path.Combine(_folder, "megaphone");
        File.Copy(Repository.Binary, binary);
        File.SetUnixFileMode(_folder, File.GetUnixFileMode(_folder) | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);

        // Root may write to everything.
        File.SetUnixFileMode(SocketPath, UnixFileMode.None);
        string[] launcher = isRoot ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] : [];
        using ChildProcess asked = ChildProcess.Start([.. launcher, binary, "status", "--Admin:Socket", SocketPath]);
        Assert.Equal(1, await asked.EndAsync());
        Assert.Equal(
            $"megaphone: {SocketPath}: permission denied; whoever may write to this file may give orders: be root or the service's user, "
            + "for example with sudo -u megaphone",
            Assert.Single(asked.Errors));
    }

    [Fact]
    public async Task A_user_of_ejabberd_is_the_client_that_ejabberd_says()
    {
        await using Ejabberd ejabberd = await Ejabberd.StartWithModuleAsync("hibernate_after: 0");
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.EcmAsync(
            ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza", "Ecm:Link:Name=edge", $"Admin:Socket={SocketPath}", "Admin:Listen=127.0.0.1:0"));
        await ecm.HasLinksAsync(1, "ecm");
        using XmppClient one = await XmppClient.ConnectAsync(ecm.Clients), other = await XmppClient.ConnectAsync(ecm.Clients, from: Other);
        await one.LogInAsync();
        await other.LogInAsync();

        string[] found = Assert.Single(await ejabberd.ControlAsync("megaphone_session", other.Address)).Split('\t');
        Assert.Equal([other.Address.Split('/')[1], "megaphone@localhost"], found[..2]);
        Assert.Equal("edge", found[3]);
        Assert.Equal(found, Assert.Single(await ejabberd.ControlAsync("megaphone_session", other.Address.Split('/')[0])).Split('\t'));
        JsonNode client = (await AskJsonAsync("clients"))["clients"]!.AsArray().Single(client => Text(client!, "id") == found[4])!;
        Assert.StartsWith($"{Other}:", Text(client, "address"), StringComparison.Ordinal);

        Assert.Equal([$"client {found[4]} is ended"], await AskAsync("kick", found[4]));
        await BoundedWait.UntilAsync(
            async () => (await ejabberd.ControlAsync("megaphone_session", other.Address)).Count == 0, () => "the session to be gone");
        Assert.Single(await ejabberd.ControlAsync("megaphone_session", one.Address));
        Assert.Empty(await ejabberd.ControlAsync("megaphone_session", "juliet@localhost"));
    }

    [Fact]
    public async Task A_hub_has_no_clients()
    {
        Keep(await MegaphoneProcess.HubAsync($"Admin:Socket={SocketPath}", "Admin:Listen=127.0.0.1:0"));
        foreach (string command in (string[])["clients", "kick"])
        {
            string[] arguments = command == "kick" ? [command, "17"] : [command];
            Assert.Equal(["megaphone: there is no ECM in this process, so no clients"], await AskInVainAsync(arguments));
        }
    }

    private static string Text(JsonNode node, string name) => (string)node[name]!;

    private T Keep<T>(T one)
        where T : IDisposable
    {
        _opened.Add(one);
        return one;
    }

    private async Task<MegaphoneProcess> BothAsync(params string[] settings) => Keep(await MegaphoneProcess.BothAsync(
        ["Ecm:Clients:0:Framing=stanza", $"Admin:Socket={SocketPath}", "Admin:Listen=127.0.0.1:0", .. settings]));

    private async Task<JsonNode> AskJsonAsync(params string[] arguments) =>
        JsonNode.Parse(Assert.Single(await AskAsync([.. arguments, "--json"])))!;

    private async Task<IReadOnlyList<string>> AskAsync(params string[] arguments)
    {
        (ChildProcess asked, int status) = await MegaphoneProcess.RunAsync([.. arguments, "--Admin:Socket", SocketPath]);
        using (asked)
        {
            Assert.Empty(asked.Errors);
            Assert.Equal(0, status);
            return [.. asked.Output];
        }
    }

    private Task<IReadOnlyList<string>> AskInVainAsync(params string[] arguments) => AskInVainAsync(1, arguments);

    private async Task<IReadOnlyList<string>> AskInVainAsync(int ended, params string[] arguments)
    {
        (ChildProcess asked, int status) = await MegaphoneProcess.RunAsync([.. arguments, "--Admin:Socket", SocketPath]);
        using (asked)
        {
            Assert.Empty(asked.Output);
            Assert.Equal(ended, status);
            return [.. asked.Errors];
        }
    }
}
