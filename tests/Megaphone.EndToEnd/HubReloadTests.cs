using System.Globalization;
using System.Net;
using System.Runtime.Versioning;
using System.Text.Json.Nodes;

namespace Megaphone.EndToEnd;

/// <summary>SIGHUP to a hub: its links are cut and come back, and not one session ends.</summary>
[SupportedOSPlatform("linux")]
public sealed class HubReloadTests : IDisposable
{
    private const int Clients = 30;

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-reload-").FullName;
    private readonly TestCertificates _certificates = new();
    private readonly List<IDisposable> _opened = [];

    private string ConfigFile => Path.Combine(_folder, "megaphone.json");

    public void Dispose()
    {
        _opened.Reverse();
        _opened.ForEach(one => one.Dispose());
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("tcp and links with TLS")]
    [InlineData("echo")]
    [InlineData("one process")]
    public async Task Not_one_session_ends(string how)
    {
        bool tls = how.Contains("TLS", StringComparison.Ordinal), both = how == "one process";
        JsonObject hubSection = new() { ["Secret"] = "secret-of-a-test" };
        List<string> ecmSettings = ["Ecm:Link:Secret=secret-of-a-test"];
        if (how != "echo") hubSection["Backend"] = $"tcp://{await Keep(PythonPeer.Start("echo_backend.py")).ListeningAsync()}";
        if (tls)
        {
            _certificates.Issue("localhost", ["localhost"]);
            (string certificate, string key) = _certificates.Files("localhost");
            hubSection["Tls"] = new JsonObject { ["Certificate"] = certificate, ["Key"] = key };
            ecmSettings.AddRange([$"Ecm:Link:Tls:Ca={_certificates.AuthorityFile}", "Ecm:Link:Tls:Name=localhost"]);
        }

        MegaphoneProcess hub = await StartAsync(hubSection, root =>
        {
            if (!both) return;
            root["Ecm"] = new JsonObject
            {
                ["Clients"] = new JsonArray(new JsonObject { ["Listen"] = "127.0.0.1:0" }),
                ["Link"] = new JsonObject { ["Secret"] = "secret-of-a-test" },
            };
        });
        MegaphoneProcess ecm = both ? hub : Keep(await MegaphoneProcess.EcmAsync(hub.Hub, [.. ecmSettings]));
        await ecm.HasLinksAsync(1, "ecm");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, Clients);
        _opened.AddRange(clients);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync();

        // One who never reads, so that the ECM pauses its session, and what comes back waits in the hub or at the server, until the end.
        TestConnection slow = Keep(await TestConnection.ConnectAsync(ecm.Clients, receiveBuffer: 4096));
        byte[] much = Sample.Bytes(6 << 20);
        Task sendingMuch = slow.SendAsync(much);
        await ecm.ReachesAtLeastAsync(1 << 16, "megaphone_buffered_bytes", "role=ecm");
        await hub.HasSessionsAsync(Clients + 1);
        int descriptors = await hub.IdleDescriptorsAsync();

        using CancellationTokenSource enough = new();
        List<Task> talks = [.. clients.Select(client => TalkAsync(client, enough.Token))];
        for (int round = 1; round <= 6; round++)
        {
            await hub.ReloadAsync(done: round);
            await ecm.HasLinksAsync(1, "ecm");
            if (round % 2 == 0 && !both) await ecm.ReloadAsync(done: round / 2);
            Assert.DoesNotContain(talks, talk => talk.IsFaulted);
        }

        await enough.CancelAsync();
        await BoundedWait.WithinAsync(Task.WhenAll(talks), "the last answers");
        Sample.AssertSame(much, await slow.ReceiveAsync(much.Length));
        await BoundedWait.WithinAsync(sendingMuch, "all to be sent");
        await hub.DescriptorsAreBackToAsync(descriptors);
        MetricsSnapshot metrics = await hub.MetricsAsync();
        Assert.Equal(Clients + 1, metrics["megaphone_hub_sessions"]);
        Assert.Equal(Clients + 1, metrics["megaphone_sessions_opened_total", "role=hub"]);
        Assert.Equal(0, metrics["megaphone_sessions_closed_total", "role=hub"]);
        Assert.Equal(0, metrics["megaphone_dropped_packets_total", "role=hub"]);
        Assert.Equal(0, metrics["megaphone_protocol_errors_total", "role=hub"]);
        Assert.Equal(0, metrics["megaphone_links_cut", "role=hub"]);
        await hub.ReachesAsync(0, "megaphone_buffered_bytes", "role=hub");
        Assert.Equal(both ? 0 : 3, hub.LogLines(" is cut after "));

        // They can also leave, and others come.
        await Keep(await TestConnection.ConnectAsync(ecm.Clients)).AssertEchoesAsync();
        clients.ForEach(client => client.Dispose());
        slow.Dispose();
        await hub.HasSessionsAsync(1);
        Assert.Equal(Clients + 1, (await hub.MetricsAsync())["megaphone_sessions_closed_total", "role=hub"]);
        await ecm.StopAsync();
    }

    [Fact]
    public async Task Sessions_that_are_half_closed_on_either_side_or_not_connected_yet_stay_so()
    {
        using TestBackend backend = new(backlog: 0);
        MegaphoneProcess hub = await StartAsync(new JsonObject { ["Backend"] = $"tcp://{backend.Address}", ["ConnectTimeout"] = "20s" });
        MegaphoneProcess ecm = await EcmAsync(hub);
        TestConnection clientEnded = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await clientEnded.SendAsync("the last");
        clientEnded.EndSending();
        TestConnection itsServer = Keep(await backend.AcceptAsync());
        Assert.Equal("the last"u8.ToArray(), await itsServer.ReceiveToEndAsync());
        TestConnection serverEnded = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await serverEnded.SendAsync("hello");
        TestConnection other = Keep(await backend.AcceptAsync());
        await other.SendAsync("the last");
        other.EndSending();
        Assert.Equal("the last"u8.ToArray(), await serverEnded.ReceiveToEndAsync());
        FullBacklog full = await FullBacklog.OfAsync(backend);
        TestConnection early = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await early.SendAsync("early");
        await hub.HasSessionsAsync(3);
        await hub.ReachesAtLeastAsync(5, "megaphone_buffered_bytes", "role=hub");

        await hub.ReloadAsync(done: 1);
        await ecm.HasLinksAsync(1, "ecm");
        await hub.ReachesAsync(5, "megaphone_buffered_bytes", "role=hub");
        await full.MakeRoomAsync();
        await itsServer.SendAsync("and the answer");
        itsServer.EndSending();
        Assert.Equal("and the answer"u8.ToArray(), await clientEnded.ReceiveToEndAsync());
        await serverEnded.SendAsync("and the answer");
        Assert.Equal("helloand the answer", await other.ReceiveTextAsync(19));
        serverEnded.EndSending();
        TestConnection third = Keep(await backend.AcceptAsync());
        Assert.Equal("early", await third.ReceiveTextAsync(5));
        await hub.HasClosedAsync(2, "hub", "ended");
        await hub.HasSessionsAsync(1);
    }

    [Fact]
    public async Task Deadlines_go_on()
    {
        using TestBackend backend = new(backlog: 0);
        MegaphoneProcess hub = await StartAsync(new JsonObject
        {
            ["Backend"] = $"tcp://{backend.Address}",
            ["HalfOpenTimeout"] = "3s",
            ["IdleTimeout"] = "4s",
            ["ConnectTimeout"] = "3s",
        });
        MegaphoneProcess ecm = await EcmAsync(hub);
        TestConnection halfClosed = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await halfClosed.SendAsync("the last");
        halfClosed.EndSending();
        TestConnection idle = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await idle.SendAsync("silent from now on");
        for (int i = 0; i < 2; i++) Keep(await backend.AcceptAsync());
        using FullBacklog full = await FullBacklog.OfAsync(backend);
        TestConnection early = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await early.SendAsync("nobody answers");
        await hub.HasSessionsAsync(3);

        await hub.ReloadAsync(done: 1);
        await hub.HasClosedAsync(1, "hub", "half_open_timeout");
        await hub.HasClosedAsync(1, "hub", "backend_timeout");
        await hub.HasClosedAsync(1, "hub", "idle_timeout");
    }

    [Fact]
    public async Task Links_that_are_cut_meanwhile_come_back()
    {
        MegaphoneProcess hub = await StartAsync([]);
        using TcpProxy between = new(hub.Hub);
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.EcmAsync(between.Address));
        await ecm.HasLinksAsync(1, "ecm");
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        using CancellationTokenSource enough = new();
        Task talk = TalkAsync(client, enough.Token);
        for (int round = 1; round <= 5; round++)
        {
            Task reloading = hub.ReloadAsync(done: round);
            while (!reloading.IsCompleted)
            {
                between.CutOne();
                await Task.Delay(20);
            }

            await reloading;
        }

        await ecm.HasLinksAsync(1, "ecm");
        await enough.CancelAsync();
        await BoundedWait.WithinAsync(talk, "the last answer");
        await hub.HasSessionsAsync(1);
        Assert.Equal(0, (await hub.MetricsAsync())["megaphone_sessions_closed_total", "role=hub"]);
    }

    [Fact]
    public async Task Sessions_stay_at_a_backend_that_is_not_configured_any_more()
    {
        using TestBackend before = new(), after = new();
        MegaphoneProcess hub = await StartAsync(new JsonObject { ["Backend"] = $"tcp://{before.Address}" });
        MegaphoneProcess ecm = await EcmAsync(hub);
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await client.SendAsync("hello");
        TestConnection server = Keep(await before.AcceptAsync());
        await WriteAsync(new JsonObject { ["Backend"] = $"tcp://{after.Address}" });
        await hub.ReloadAsync(done: 1);
        await server.SendAsync("still here");
        Assert.Equal("still here", await client.ReceiveTextAsync(10));
        await Keep(await TestConnection.ConnectAsync(ecm.Clients)).SendAsync("new");
        Assert.Equal("new", await Keep(await after.AcceptAsync()).ReceiveTextAsync(3));
        await client.SendAsync(" and I");
        Assert.Equal("hello and I", await server.ReceiveTextAsync(11));
    }

    [Theory]
    [InlineData("Listen", "127.0.0.9:1", "Hub:Listen")]
    [InlineData("Backend", "tcp://127.0.0.1:1", "Hub:Backend")]
    [InlineData("MaxPacketBytes", "64K", "Hub:MaxPacketBytes")]
    [InlineData("MaxPacketBytes", "8M", "Hub:MaxPacketBytes")]
    [InlineData("role", null, "Hub: to take a role out")]
    public async Task What_a_configuration_cannot_do_is_said_and_nobody_notices(string key, string? value, string because)
    {
        MegaphoneProcess hub = await StartAsync([]);
        MegaphoneProcess ecm = await EcmAsync(hub);
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await client.AssertEchoesAsync();
        if (key == "role") await WriteAsync(hub: null, root => root["Ecm"] = new JsonObject { ["Link"] = new JsonObject { ["To"] = "127.0.0.1:1" } });
        else await WriteAsync(new JsonObject { [key] = value, ["RingBytes"] = value == "8M" ? "16M" : null });
        await hub.ReloadAsync(refused: 1, because: because);
        await client.AssertEchoesAsync();
        await WriteAsync([]);
        await hub.ReloadAsync(done: 1);
        await client.AssertEchoesAsync();
    }

    [Fact]
    public async Task A_link_that_cannot_be_resumed_stands_in_the_way_as_long_as_it_has_sessions()
    {
        MegaphoneProcess hub = await StartAsync([]);
        LinkPeer link = Keep(await LinkPeer.PlainEcmAsync(hub));
        await link.AssertEchoesAsync(1);
        await hub.ReloadAsync(refused: 1, because: "cannot be resumed");
        await link.AssertEchoesAsync(1);
        await link.SendEndAsync(1);
        await link.AssertEndAsync(1);
        await hub.HasSessionsAsync(0);
        await hub.ReloadAsync(done: 1);
        await link.AssertClosesAsync();
    }

    [Fact]
    public async Task A_hub_goes_on_where_nobody_can_take_over()
    {
        // Gone when it is to take over: everything stands still by then.
        string binary = Path.Combine(_folder, "megaphone");
        File.Copy(Repository.Binary, binary);
        using TestBackend backend = new();
        MegaphoneProcess hub = await StartAsync(new JsonObject { ["Backend"] = $"tcp://{backend.Address}", ["IdleTimeout"] = "1h" }, binary: binary);
        MegaphoneProcess ecm = await EcmAsync(hub);
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await client.SendAsync("before");
        TestConnection server = Keep(await backend.AcceptAsync());
        File.Delete(binary);
        await File.WriteAllTextAsync(binary, $"#!/bin/sh\n{Repository.Binary} \"$@\"; rm -f \"$0\"\n");
        File.SetUnixFileMode(binary, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        hub.Process.Signal(Signals.HangUp);
        await hub.ReachesAsync(1, "megaphone_reloads_total", "result=failed");
        await ecm.HasLinksAsync(1, "ecm");
        await client.SendAsync(" and after");
        Assert.Equal("before and after", await server.ReceiveTextAsync(16));
        await server.SendAsync("answer");
        Assert.Equal("answer", await client.ReceiveTextAsync(6));
        File.Copy(Repository.Binary, binary);
        await hub.ReloadAsync(done: 1);
        await server.SendAsync("again");
        Assert.Equal("again", await client.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task A_role_that_is_new_starts()
    {
        MegaphoneProcess hub = await StartAsync([]);
        IPEndPoint clients;
        using (TestBackend free = new()) clients = free.Address;
        await WriteAsync([], root => root["Ecm"] = new JsonObject
        {
            ["Clients"] = new JsonArray(new JsonObject { ["Listen"] = clients.ToString() }),
            ["Link"] = new JsonObject { ["To"] = hub.Hub.ToString() },
        });
        await hub.ReloadAsync(done: 1);
        await hub.HasLinksAsync(1, "ecm");
        TestConnection client = Keep(await TestConnection.ConnectAsync(clients));
        await client.AssertEchoesAsync();
        await hub.ReloadAsync(done: 2);
        await client.AssertEchoesAsync();
        Assert.Equal(1, hub.LogLines("has taken over 1 clients and 1 sessions"));
    }

    /// <summary>Sends numbered words, and checks what comes back, until it is enough.</summary>
    private static async Task TalkAsync(TestConnection client, CancellationToken enough)
    {
        for (int number = 0; !enough.IsCancellationRequested; number++)
        {
            string words = string.Create(CultureInfo.InvariantCulture, $"{number}: {new string('x', number * 37 % 3000)}");
            await client.SendAsync(words);
            Assert.Equal(words, await client.ReceiveTextAsync(words.Length));
        }
    }

    private async Task<MegaphoneProcess> EcmAsync(MegaphoneProcess hub)
    {
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.EcmAsync(hub.Hub));
        await ecm.HasLinksAsync(1, "ecm");
        return ecm;
    }

    private async Task<MegaphoneProcess> StartAsync(JsonObject hub, Action<JsonObject>? change = null, string? binary = null)
    {
        await WriteAsync(hub, change);
        return Keep(await MegaphoneProcess.StartAsync([$"config={ConfigFile}"], binary: binary));
    }

    private async Task WriteAsync(JsonObject? hub, Action<JsonObject>? change = null)
    {
        JsonObject root = new() { ["Hub"] = false };
        if (hub is not null)
        {
            if (!hub.ContainsKey("Listen")) hub["Listen"] = "127.0.0.1:0";
            root["Hub"] = hub;
        }

        change?.Invoke(root);

        // In one step, as a reload may be reading it.
        await File.WriteAllTextAsync(ConfigFile + ".new", root.ToJsonString());
        File.Move(ConfigFile + ".new", ConfigFile, overwrite: true);
    }

    private T Keep<T>(T one)
        where T : IDisposable
    {
        _opened.Add(one);
        return one;
    }
}
