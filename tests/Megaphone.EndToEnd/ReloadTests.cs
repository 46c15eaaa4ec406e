using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Authentication;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Megaphone.EndToEnd;

/// <summary>SIGHUP: the installed binary takes the place of the one that runs, with the configuration as it is now, and everybody stays.</summary>
[SupportedOSPlatform("linux")]
public sealed class ReloadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-reload-").FullName;
    private readonly TestCertificates _certificates = new();
    private readonly List<IDisposable> _opened = [];

    public void Dispose()
    {
        _opened.Reverse();
        _opened.ForEach(one => one.Dispose());
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private string ConfigFile => Path.Combine(_folder, "megaphone.json");

    [Fact]
    public async Task Threads_may_be_made_until_the_new_image_takes_over()
    {
        using Preload busy = await Preload.CompileAsync("busy_threads");
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={hub.Hub}"], environment: busy.Environment));
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        for (int round = 1; round <= 8; round++) await ecm.ReloadAsync(done: round);

        await client.SendAsync("still here");
        Assert.Equal("still here", Encoding.ASCII.GetString(await client.ReceiveAsync(10)));
    }

    [Fact]
    public async Task Everybody_goes_on_talking_through_reloads_and_through_those_that_are_refused()
    {
        _certificates.Issue("localhost", ["localhost"]);
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener(), Listener("direct"));
        List<TestConnection> plain = await TestConnection.ConnectManyAsync(ecm.Clients, 30);
        _opened.AddRange(plain);
        List<TlsClient> tls = [];
        foreach (SslProtocols version in (SslProtocols[])[SslProtocols.Tls12, SslProtocols.Tls13])
        {
            for (int i = 0; i < 6; i++) tls.Add(Keep(await TlsClient.ConnectAsync(ecm.ClientListeners[1], version: version)));
        }

        // One who never reads, so that what comes back waits in the ECM, until the end.
        TestConnection slow = Keep(await TestConnection.ConnectAsync(ecm.Clients, receiveBuffer: 4096));
        byte[] much = Sample.Bytes(6 << 20);
        Task sendingMuch = slow.SendAsync(much);
        await ecm.ReachesAtLeastAsync(1 << 16, "megaphone_buffered_bytes", "role=ecm");
        int descriptors = await ecm.IdleDescriptorsAsync();

        using CancellationTokenSource enough = new();
        List<Task> talks = [.. plain.Select(client => TalkAsync(client.SendAsync, client.ReceiveAsync, enough.Token))];
        talks.AddRange(tls.Select(client => TalkAsync(client.SendAsync, client.ReceiveAsync, enough.Token)));
        string good = await File.ReadAllTextAsync(ConfigFile);
        for (int round = 1; round <= 10; round++)
        {
            if (round % 2 == 0)
            {
                await File.WriteAllTextAsync(ConfigFile, round % 4 == 0 ? good.Replace("Listen", "Lisen", StringComparison.Ordinal) : "{ no JSON");
                await ecm.ReloadAsync(refused: round / 2, because: round % 4 == 0 ? "Lisen" : "megaphone.json");
                await File.WriteAllTextAsync(ConfigFile, good);
            }

            await ecm.ReloadAsync(done: round);
            await ecm.HasLinksAsync(1, "ecm");
            Assert.DoesNotContain(talks, talk => talk.IsFaulted);
        }

        await enough.CancelAsync();
        await BoundedWait.WithinAsync(Task.WhenAll(talks), "the last answers");
        Sample.AssertSame(much, await slow.ReceiveAsync(much.Length));
        await BoundedWait.WithinAsync(sendingMuch, "all to be sent");
        await ecm.DescriptorsAreBackToAsync(descriptors);

        MetricsSnapshot metrics = await ecm.MetricsAsync();
        Assert.Equal(43, metrics["megaphone_ecm_clients"]);
        Assert.Equal(43, metrics["megaphone_sessions_opened_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_sessions_closed_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_dropped_packets_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_buffered_bytes", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_links_cut", "role=ecm"]);
        Assert.Equal(10, metrics["megaphone_link_resumptions_total", "role=ecm"]);
        await hub.HasSessionsAsync(43);

        // They can also leave, and others come.
        await Keep(await TestConnection.ConnectAsync(ecm.Clients)).AssertEchoesAsync();
        plain[0].Dispose();
        tls[0].Dispose();
        await hub.HasSessionsAsync(42);
        await tls[1].AssertEchoesAsync();
        await (Keep(await TlsClient.ConnectAsync(ecm.ClientListeners[1]))).AssertEchoesAsync();
        await ecm.StopAsync();
    }

    [Fact]
    public async Task Half_a_stanza_and_half_a_record_go_on_where_they_stopped()
    {
        const string Stream = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
        _certificates.Issue("localhost", ["localhost"]);
        using TestBackend backend = new();
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync(backend.Setting));
        MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener(framing: "stanza"), Listener("direct", "stanza"));
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await client.SendAsync(Stream + "<message><body>not all ");
        TestConnection server = Keep(await backend.AcceptAsync());
        Assert.Equal(Stream, await server.ReceiveTextAsync(Stream.Length));
        HandmadeTls tls = Keep(await HandmadeTls.ConnectAsync(ecm.ClientListeners[1], Path.Combine(_folder, "keys")));
        await tls.SendAsync(HandmadeTls.ApplicationData, Encoding.ASCII.GetBytes(Stream));
        TestConnection tlsServer = Keep(await backend.AcceptAsync());
        Assert.Equal(Stream, await tlsServer.ReceiveTextAsync(Stream.Length));

        byte[] record = tls.Seal(HandmadeTls.ApplicationData, "<presence/>"u8);
        await tls.SendRawAsync(record.AsMemory(0, 3));
        await ecm.ReloadAsync(done: 1);
        await client.SendAsync("is there");
        await tls.SendRawAsync(record.AsMemory(3, 10));
        await ecm.ReloadAsync(done: 2);
        await client.SendAsync("</body></message>");
        await tls.SendRawAsync(record.AsMemory(13));
        const string Message = "<message><body>not all is there</body></message>";
        Assert.Equal(Message, await server.ReceiveTextAsync(Message.Length));
        Assert.Equal("<presence/>", await tlsServer.ReceiveTextAsync("<presence/>".Length));
        await ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");

        // Key updates that are asked for are answered with the keys that come next.
        await tls.SendRawAsync(tls.SealKeyUpdates(3, ask: true));
        await ecm.ReloadAsync(done: 3);
        await tls.SendAsync(HandmadeTls.ApplicationData, "<a/>"u8);
        Assert.Equal("<a/>", await tlsServer.ReceiveTextAsync(4));
        await tlsServer.SendAsync("<b/>");
        Assert.Equal("<b/>"u8.ToArray(), await tls.ReceiveAsync(4));
    }

    [Fact]
    public async Task Clients_who_are_half_closed_paused_or_silent_stay_so()
    {
        using TestBackend backend = new();
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync(backend.Setting));
        MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener());
        TestConnection halfClosed = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await halfClosed.SendAsync("the last");
        halfClosed.EndSending();
        TestConnection server = Keep(await backend.AcceptAsync());
        Assert.Equal("the last"u8.ToArray(), await server.ReceiveToEndAsync());
        TestConnection silent = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await ecm.HasClientsAsync(2);

        await ecm.ReloadAsync(done: 1);
        await ecm.HasLinksAsync(1, "ecm");
        await server.SendAsync("and the answer");
        server.EndSending();
        Assert.Equal("and the answer"u8.ToArray(), await halfClosed.ReceiveToEndAsync());
        await silent.SendAsync("at last");
        TestConnection second = Keep(await backend.AcceptAsync());
        Assert.Equal("at last", await second.ReceiveTextAsync(7));
        await ecm.HasClosedAsync(1, "ecm", "ended");
        await ecm.HasClientsAsync(1);
    }

    [Fact]
    public async Task Who_has_logged_in_has_and_who_has_not_still_has_to_and_both_count_for_their_address()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, [Listener()], binary: null, root => root["Ecm"]!["Limits"] = new JsonObject
        {
            ["PerAddress"] = 2,
            ["LoginTimeout"] = "6s",
            ["Exempt"] = new JsonArray(),
        });
        TestConnection known = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await known.AssertEchoesAsync();
        TestConnection silent = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await ecm.HasClientsAsync(2);
        await ecm.ReloadAsync(done: 1);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);
        await (Keep(await TestConnection.ConnectAsync(ecm.Clients))).AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_limited_total", "limit=per_address");

        await silent.AssertIsGoneAsync();
        await ecm.HasClientsAsync(1);
        await known.AssertEchoesAsync();
        await (Keep(await TestConnection.ConnectAsync(ecm.Clients))).AssertEchoesAsync();
        known.Dispose();
        await ecm.HasClientsAsync(1);
        await ecm.ReachesAsync(1, "megaphone_clients_logged_in");
    }

    [Fact]
    public async Task Listeners_come_and_go_and_those_who_came_over_them_stay()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync()), other = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener());
        TestConnection before = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await before.AssertEchoesAsync();
        IPEndPoint next = new(IPAddress.Parse("127.0.0.9"), ecm.Clients.Port);
        await WriteAsync(other.Hub, new JsonObject { ["Listen"] = next.ToString(), ["Framing"] = "bytes" });
        await ecm.ReloadAsync(done: 1);
        await before.AssertEchoesAsync();
        await ecm.HasLinksAsync(2, "ecm");
        TestConnection after = Keep(await TestConnection.ConnectAsync(next));
        await after.AssertEchoesAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => TestConnection.ConnectAsync(ecm.Clients));
        await hub.HasSessionsAsync(1);
        await other.HasSessionsAsync(1);
        await ecm.ReloadAsync(done: 2);
        await before.AssertEchoesAsync();
        await after.AssertEchoesAsync();
    }

    [Theory]
    [InlineData("listener", "127.0.0.1:1\"")]
    [InlineData("certificate", "no-such-file")]
    [InlineData("framing", "framing")]
    [InlineData("resume", "Ecm:Link:Resume")]
    [InlineData("ecm", "Ecm: to take a role out")]
    public async Task What_a_configuration_cannot_do_is_said_and_nobody_notices(string what, string because)
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener());
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await client.AssertEchoesAsync();
        using TestBackend taken = new();
        if (what == "listener") because = taken.Address.ToString();
        JsonObject listener = Listener(framing: what == "framing" ? "stanza" : "bytes");
        JsonObject more = new() { ["Listen"] = what == "listener" ? taken.Address.ToString() : "127.0.0.1:0", ["Framing"] = "bytes" };
        await WriteAsync(hub.Hub, [listener, .. what == "listener" ? [more] : Array.Empty<JsonObject>()], root =>
        {
            if (what == "resume") root["Ecm"]!["Link"]!["Resume"] = false;
            if (what == "ecm") (root["Ecm"], root["Hub"]) = (false, new JsonObject { ["Listen"] = "127.0.0.1:0" });
            if (what != "certificate") return;
            listener["Tls"] = "direct";
            root["Ecm"]!["Tls"] = new JsonObject
            {
                ["Certificates"] = new JsonArray(new JsonObject { ["Certificate"] = "/no-such-file.crt", ["Key"] = "/no-such-file.key" }),
            };
        });
        await ecm.ReloadAsync(refused: 1, because: because);
        await client.AssertEchoesAsync();
        await WriteAsync(hub.Hub, Listener());
        await ecm.ReloadAsync(done: 1);
        await client.AssertEchoesAsync();
    }

    [Fact]
    public async Task A_binary_that_does_not_start_or_another_version_changes_nothing_or_takes_over()
    {
        string binary = CopyOfBinary();
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, [Listener()], binary);
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await client.AssertEchoesAsync();
        (string Content, string Because)[] wrong =
        [
            ("#!/bin/sh\necho I am no such thing\nexit 3\n", "no such thing"),
            ("#!/bin/sh\n", "said nothing"),
            ("nothing that runs", "cannot be started"),
            ("#!/bin/sh\nkill -9 $$\n", "signal 9"),
            ("#!/bin/sh\nexec >&- 2>&-\nexec sleep 60\n", "not done within 20 s"),
            (
                $"#!/bin/sh\ncp /proc/self/fd/0 {_folder}/head\nprintf '\\143' | dd of={_folder}/head bs=1 seek=8 conv=notrunc 2>/dev/null\n"
                    + $"exec {Repository.Binary} \"$@\" <{_folder}/head\n",
                "layout 99, and this version knows "),
        ];
        for (int i = 0; i < wrong.Length; i++)
        {
            await InstallAsync(binary, wrong[i].Content);
            await ecm.ReloadAsync(refused: i + 1, because: wrong[i].Because);
            await client.AssertEchoesAsync();
        }

        File.Delete(binary);
        await ecm.ReloadAsync(refused: wrong.Length + 1, because: "No such file");

        // One that is gone when it is to take over: everything stands still by then.
        await InstallAsync(binary, $"#!/bin/sh\n{Repository.Binary} \"$@\"; rm -f \"$0\"\n");
        ecm.Process.Signal(Signals.HangUp);
        await ecm.ComplainsAsync(1, "The reload has failed");
        await ecm.ReachesAsync(1, "megaphone_reloads_total", "result=failed");
        await ecm.HasLinksAsync(1, "ecm");
        await client.AssertEchoesAsync();
        await Keep(await TestConnection.ConnectAsync(ecm.Clients)).AssertEchoesAsync();
        File.Copy(Repository.Binary, binary);
        await ecm.ReloadAsync(done: 1);
        await client.AssertEchoesAsync();
    }

    [Fact]
    public async Task What_happens_to_the_files_behind_the_rehearsal_is_for_the_next_reload()
    {
        _certificates.Issue("localhost", ["localhost"]);
        (string certificate, string key) = _certificates.Files("localhost");
        string secret = Path.Combine(_folder, "link-secret");
        await File.WriteAllTextAsync(secret, "of the link\n");
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync("Hub:Secret=of the link"));
        MegaphoneProcess ecm = await StartAsync(
            hub.Hub, [Listener("direct")], CopyOfBinary(), root => root["Ecm"]!["Link"]!["SecretFile"] = secret);
        await InstallBehindRehearsalAsync($"for file in {ConfigFile} {certificate} {key} {secret}; do echo broken > \"$file\"; done");
        TlsClient client = Keep(await TlsClient.ConnectAsync(ecm.Clients));
        await client.AssertEchoesAsync();
        await ecm.ReloadAsync(done: 1);
        await client.AssertEchoesAsync();
        TlsClient next = Keep(await TlsClient.ConnectAsync(ecm.Clients));
        Assert.Equal(client.Serial, next.Serial);

        // What was rehearsed is in use; that the files have changed since is seen as always.
        await ecm.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=failed");
        await ecm.ReloadAsync(refused: 1, because: "is not JSON");
        await next.AssertEchoesAsync();
    }

    [Fact]
    public async Task A_listener_whose_address_is_taken_behind_the_rehearsal_is_left_out_until_the_next_reload()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, [Listener()], CopyOfBinary());
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        await client.AssertEchoesAsync();
        string rehearsed = Path.Combine(_folder, "rehearsed"), taken = Path.Combine(_folder, "taken");
        await InstallBehindRehearsalAsync($"touch {rehearsed}; until [ -e {taken} ]; do sleep 0.01; done");
        IPEndPoint address;
        using (TestBackend other = new()) address = other.Address;
        await WriteAsync(hub.Hub, Listener(), new JsonObject { ["Listen"] = address.ToString(), ["Framing"] = "bytes" });
        ecm.Process.Signal(Signals.HangUp);
        await BoundedWait.UntilAsync(() => File.Exists(rehearsed), "the rehearsal");
        using (Socket other = new(SocketType.Stream, ProtocolType.Tcp))
        {
            other.Bind(address);
            other.Listen();
            await File.WriteAllTextAsync(taken, "");
            await ecm.HasReloadedAsync(1);
            await BoundedWait.UntilAsync(() => ecm.Complaints("Ecm:Clients:1:Listen is left out").Count == 1, "a line that names the listener");
            await client.AssertEchoesAsync();
        }

        await ecm.ReloadAsync(done: 2);
        await client.AssertEchoesAsync();
        await Keep(await TestConnection.ConnectAsync(address)).AssertEchoesAsync();
    }

    [Fact]
    public async Task An_order_that_comes_in_the_middle_of_a_reload_is_one_more()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener());
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        for (int round = 1; round <= 3; round++)
        {
            ecm.Process.Signal(Signals.HangUp);
            await BoundedWait.UntilAsync(() => ecm.LogLines("SIGHUP: reloading") == 2 * round - 1, "the beginning of a reload");
            IPEndPoint added = new(IPAddress.Parse($"127.0.0.{10 + round}"), ecm.Clients.Port);
            await WriteAsync(hub.Hub, Listener(), new JsonObject { ["Listen"] = added.ToString(), ["Framing"] = "bytes" });
            ecm.Process.Signal(Signals.HangUp);
            await ecm.HasReloadedAsync(2 * round);
            await Keep(await TestConnection.ConnectAsync(added)).AssertEchoesAsync();
            await client.AssertEchoesAsync();
        }
    }

    [Fact]
    public async Task A_stop_in_the_middle_of_a_reload_is_a_stop()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        for (int delay = 0; delay < 100; delay += 10)
        {
            MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener());
            TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
            await client.AssertEchoesAsync();
            ecm.Process.Signal(Signals.HangUp);
            await Task.Delay(delay);
            await ecm.StopAsync();
        }
    }

    [Fact]
    public async Task The_command_reload_waits_for_the_end_and_says_how_it_was()
    {
        string socket = Path.Combine(_folder, "admin.sock");
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync());
        MegaphoneProcess ecm = await StartAsync(hub.Hub, [Listener()], binary: null, root => root["Admin"] = new JsonObject { ["Socket"] = socket });
        TestConnection client = Keep(await TestConnection.ConnectAsync(ecm.Clients));
        string good = await File.ReadAllTextAsync(ConfigFile);
        for (int round = 1; round <= 3; round++)
        {
            (ChildProcess reload, int status) = await MegaphoneProcess.RunAsync(["reload", "--config", ConfigFile]);
            Assert.Equal(0, status);
            Assert.StartsWith("Reloaded: megaphone ", Assert.Single(reload.Output), StringComparison.Ordinal);
            await ecm.ReachesAsync(round, "megaphone_reloads_total", "result=done");
            await client.AssertEchoesAsync();

            // A file that is broken cannot say where the socket is.
            await File.WriteAllTextAsync(ConfigFile, "{ no JSON");
            (reload, status) = await MegaphoneProcess.RunAsync(["reload", "--config", ConfigFile, "--Admin:Socket", socket]);
            Assert.Equal(1, status);
            string reason = Assert.Single(reload.Errors);
            Assert.StartsWith("megaphone: not reloaded: ", reason, StringComparison.Ordinal);
            Assert.Contains("is not JSON", reason, StringComparison.Ordinal);
            await ecm.ReachesAsync(round, "megaphone_reloads_total", "result=refused");
            await client.AssertEchoesAsync();
            await File.WriteAllTextAsync(ConfigFile, good);
        }

        // Several at a time are told the same end, or the next one's.
        Task<(ChildProcess Process, int Status)>[] all =
            [.. Enumerable.Range(0, 4).Select(_ => MegaphoneProcess.RunAsync(["reload", "--config", ConfigFile]))];
        Assert.All(await Task.WhenAll(all), one => Assert.Equal(0, one.Status));
        await client.AssertEchoesAsync();
        await ecm.StopAsync();
        Assert.False(File.Exists(socket));
        (ChildProcess alone, int failed) = await MegaphoneProcess.RunAsync(["reload", "--config", ConfigFile]);
        Assert.Equal(1, failed);
        Assert.Contains(socket, Assert.Single(alone.Errors), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_link_that_cannot_be_resumed_stands_in_the_way_as_long_as_it_has_clients()
    {
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync("Hub:ResumeTimeout=0s"));
        MegaphoneProcess ecm = await StartAsync(hub.Hub, Listener());
        using (TestConnection client = await TestConnection.ConnectAsync(ecm.Clients))
        {
            await client.AssertEchoesAsync();
            await ecm.ReloadAsync(refused: 1, because: "cannot be resumed");
            await client.AssertEchoesAsync();
        }

        await ecm.HasClientsAsync(0);
        await ecm.ReloadAsync(done: 1);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection next = await TestConnection.ConnectAsync(ecm.Clients);
        await next.AssertEchoesAsync();
    }

    [Fact]
    public async Task Real_users_of_ejabberd_go_on_chatting()
    {
        await using Ejabberd ejabberd = await Ejabberd.StartAsync();
        MegaphoneProcess hub = Keep(await MegaphoneProcess.HubAsync($"Hub:Backend=tcp://{ejabberd.ProxyListener}"));
        await WriteAsync(hub.Hub, [Listener()], root => root["Ecm"]!["Proxy"] = "v2");
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.StartAsync([$"config={ConfigFile}"]));
        await ecm.HasLinksAsync(1, "ecm");
        using ChildProcess chat = ejabberd.Chat(ecm.Clients, "required", count: 2000, pause: 0.002);
        await hub.HasSessionsAsync(2);
        await hub.ReachesAtLeastAsync(300, "megaphone_link_packets_total", "role=hub", "direction=out");
        for (int round = 1; round <= 5; round++)
        {
            await ecm.ReloadAsync(done: round);
            await ecm.HasLinksAsync(1, "ecm");
        }

        using JsonDocument verdict = JsonDocument.Parse(await chat.LineAsync("{"));
        Assert.All(verdict.RootElement.GetProperty("messages").EnumerateArray(), way =>
        {
            Assert.Equal(2000, way.GetProperty("received").GetInt32());
            Assert.True(way.GetProperty("in_order").GetBoolean());
            Assert.Equal(0, way.GetProperty("doubled").GetInt32());
        });
        chat.CloseInput();
        Assert.Equal(0, await chat.EndAsync());
    }

    /// <summary>Sends numbered words, and checks what comes back, until it is enough.</summary>
    private static async Task TalkAsync(Func<ReadOnlyMemory<byte>, Task> send, Func<int, Task<byte[]>> receive, CancellationToken enough)
    {
        for (int number = 0; !enough.IsCancellationRequested; number++)
        {
            byte[] words = Encoding.ASCII.GetBytes($"{number}: {new string('x', number * 37 % 3000)}");
            await send(words);
            Assert.Equal(words, await receive(words.Length));
        }
    }

    private string CopyOfBinary()
    {
        string binary = Path.Combine(_folder, "megaphone");
        File.Copy(Repository.Binary, binary);
        return binary;
    }

    /// <summary>Installs, in the place of the copy, the binary with something that happens between a rehearsal that goes well and the exec.</summary>
    private Task InstallBehindRehearsalAsync(string what) => InstallAsync(Path.Combine(_folder, "megaphone"), $"""
        #!/bin/sh
        [ "$1" = rehearse ] || exec {Repository.Binary} "$@"
        {Repository.Binary} "$@" || exit 1
        {what}

        """);

    private static async Task InstallAsync(string binary, string content)
    {
        await File.WriteAllTextAsync(binary + ".new", content);
        File.SetUnixFileMode(binary + ".new", UnixFileMode.UserRead | UnixFileMode.UserExecute);
        File.Move(binary + ".new", binary, overwrite: true);
    }

    private T Keep<T>(T one)
        where T : IDisposable
    {
        _opened.Add(one);
        return one;
    }

    private static JsonObject Listener(string? tls = null, string framing = "bytes")
    {
        JsonObject listener = new() { ["Listen"] = "127.0.0.1:0", ["Framing"] = framing };
        if (tls is not null) listener["Tls"] = tls;
        return listener;
    }

    private Task<MegaphoneProcess> StartAsync(IPEndPoint hub, params JsonObject[] listeners) => StartAsync(hub, listeners, binary: null);

    private async Task<MegaphoneProcess> StartAsync(
        IPEndPoint hub, JsonObject[] listeners, string? binary, Action<JsonObject>? change = null)
    {
        await WriteAsync(hub, listeners, root =>
        {
            change?.Invoke(root);
            if (!listeners.Any(listener => listener.ContainsKey("Tls"))) return;
            (string certificate, string key) = _certificates.Files("localhost");
            root["Ecm"]!["Tls"] = new JsonObject
            {
                ["Certificates"] = new JsonArray(new JsonObject { ["Certificate"] = certificate, ["Key"] = key }),
            };
        });
        MegaphoneProcess ecm = Keep(await MegaphoneProcess.StartAsync([$"config={ConfigFile}"], binary: binary));
        await ecm.HasLinksAsync(1, "ecm");
        return ecm;
    }

    private Task WriteAsync(IPEndPoint hub, params JsonObject[] listeners) => WriteAsync(hub, listeners, change: null);

    private async Task WriteAsync(IPEndPoint hub, JsonObject[] listeners, Action<JsonObject>? change)
    {
        JsonObject root = new()
        {
            ["Ecm"] = new JsonObject { ["Clients"] = new JsonArray([.. listeners]), ["Link"] = new JsonObject { ["To"] = hub.ToString() } },
        };
        change?.Invoke(root);

        // In one step, as a reload may be reading it.
        await File.WriteAllTextAsync(ConfigFile + ".new", root.ToJsonString());
        File.Move(ConfigFile + ".new", ConfigFile, overwrite: true);
    }
}
