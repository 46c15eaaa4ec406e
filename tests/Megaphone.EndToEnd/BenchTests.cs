using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary><c>megaphone bench</c> against the service of the same binary, whose hub answers as an echo.</summary>
public sealed class BenchTests
{
    [Fact]
    public async Task Clients_over_several_links_exchange_messages_and_leave_no_session_behind()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Secret=open-sesame");
        JsonElement result = await RunAsync(
            0, "link", "--to", $"{hub.Hub}", "--secret", "open-sesame", "--framing", "bytes", "--login", "none", "--sessions", "300", "--links", "3",
            "--hold", "0.2", "--keepalives", "100", "--messages", "600", "--message-rate", "2000", "--watch", $"{hub.Process.Id}");

        Assert.Equal(300, result.GetProperty("logged_in").GetInt32());
        Assert.Equal(600, result.GetProperty("messages_arrived").GetInt32());
        Assert.Equal(600, result.GetProperty("message_latency_us").GetProperty("count").GetInt32());
        Assert.Equal(
            ["before", "logged in", "after hold", "after messages", "after the end"],
            result.GetProperty("phases").EnumerateArray().Select(phase => phase.GetProperty("phase").GetString()));
        Assert.True(result.GetProperty("peak_bytes").GetProperty($"{hub.Process.Id}").GetInt64() > 0);
        await hub.HasSessionsAsync(0);
        await hub.HasLinksAsync(0, "hub");
        await hub.HasClosedAsync(300, "hub", "ended");
        Assert.Empty(hub.Complaints());
    }

    [Fact]
    public async Task The_sessions_of_a_link_that_is_cut_are_closed()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        await RunAsync(
            0, "link", "--to", $"{hub.Hub}", "--framing", "bytes", "--login", "none", "--sessions", "100", "--rate", "500",
            "--end", "cut", "--after", "0.2");

        await hub.HasClosedAsync(100, "hub", "link_lost");
        await hub.HasLinksAsync(0, "hub");
    }

    [Fact]
    public async Task A_link_that_is_cut_is_taken_up_where_that_is_asked_for()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using TcpProxy between = new(hub.Hub);
        using ChildProcess bench = Start(
            "link", "--to", $"{between.Address}", "--framing", "bytes", "--login", "none", "--sessions", "50", "--hold", "60", "--resume", "yes",
            "--json", "-");
        await hub.HasSessionsAsync(50);
        between.CutOne();
        await hub.ReachesAsync(1, "megaphone_link_resumptions_total", "role=hub");
        bench.Signal(Signals.Interrupt);

        await bench.EndAsync();
        Assert.Empty(Json(bench).GetProperty("problems").EnumerateObject());
        await hub.HasClosedAsync(50, "hub", "ended");
    }

    [Fact]
    public async Task Sessions_that_are_lost_with_their_hub_are_counted_and_the_run_ends()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using ChildProcess bench = Start(
            "link", "--to", $"{hub.Hub}", "--framing", "bytes", "--login", "none", "--sessions", "50", "--hold", "60", "--json", "-");
        await hub.HasSessionsAsync(50);
        await hub.KillAsync();
        bench.Signal(Signals.Interrupt);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(50, Json(bench).GetProperty("problems").GetProperty("a session was lost with its link").GetInt32());
    }

    [Fact]
    public async Task An_interrupted_run_closes_its_sessions_and_reports_its_results()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using ChildProcess bench = Start("link", "--to", $"{hub.Hub}", "--framing", "bytes", "--login", "none", "--sessions", "50", "--hold", "60");
        await hub.HasSessionsAsync(50);
        bench.Signal(Signals.Terminate);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Contains(bench.Output, line => line.StartsWith("logged in", StringComparison.Ordinal));
        await hub.HasClosedAsync(50, "hub", "ended");
    }

    [Fact]
    public async Task The_reason_why_a_link_is_refused_is_reported()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Secret=open-sesame");
        using ChildProcess bench = Start("link", "--to", $"{hub.Hub}", "--framing", "bytes", "--sessions", "1");

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal([$"megaphone bench: no link to {hub.Hub}: refused by the other side: the secret is missing or wrong"], bench.Errors);
    }

    [Fact]
    public async Task Clients_over_connections_of_their_own_go_through_an_ECM()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        JsonElement result = await RunAsync(
            0, "xmpp", "--to", $"{both.Clients}", "--login", "none", "--sessions", "200", "--reactors", "2",
            "--messages", "300", "--message-rate", "2000");

        Assert.Equal(300, result.GetProperty("messages_arrived").GetInt32());
        await both.HasClosedAsync(200, "ecm", "ended");
    }

    [Fact]
    public async Task Connections_are_opened_at_a_rate_and_held()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        JsonElement result = await RunAsync(
            0, "connect", "--to", $"{both.Clients}", "--from", "127.70.0.0/16", "--connections", "300", "--rate", "1000",
            "--say", "10", "--hold", "0.5");

        Assert.Equal(300, result.GetProperty("held").GetInt32());
        Assert.Equal(3000, result.GetProperty("bytes_in").GetInt32());
        Assert.InRange(result.GetProperty("connect_seconds").GetDouble(), 0.29, 30);
        await both.HasClientsAsync(0);
    }

    [Fact]
    public async Task A_run_that_needs_more_descriptors_than_a_process_may_have_is_split_over_processes()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        using ChildProcess bench = ChildProcess.Start(
        [
            "prlimit", "--nofile=150", Repository.Binary, "bench", "xmpp", "--to", $"{both.Clients}", "--login", "none", "--sessions", "200",
            "--hold", "0.5", "--messages", "300", "--message-rate", "1000", "--json", "-",
        ]);

        Assert.Equal(0, await bench.EndAsync());
        JsonElement result = Json(bench);
        Assert.Equal(200, result.GetProperty("logged_in").GetInt32());
        Assert.Equal(300, result.GetProperty("messages_arrived").GetInt32());
        JsonElement held = result.GetProperty("phases").EnumerateArray()
            .Single(phase => phase.GetProperty("phase").GetString() == "after hold");
        Assert.Equal(200, held.GetProperty("clients").GetInt32());
        await both.HasClosedAsync(200, "ecm", "ended");
    }

    [Theory]
    [InlineData("")]
    [InlineData("--rate=2000")]
    public async Task Echoes_are_split_over_processes_too(string rate)
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        long began = Stopwatch.GetTimestamp();
        using ChildProcess bench = ChildProcess.Start(
        [
            "prlimit", "--nofile=150", Repository.Binary, "bench", "echo", "--to", $"{both.Clients}", "--connections", "200",
            "--warmup", "0.2", "--seconds", "2", "--json", "-", .. Arguments(rate),
        ]);

        Assert.Equal(0, await bench.EndAsync());
        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        JsonElement result = Json(bench);
        Assert.Equal(200, result.GetProperty("connections").GetInt32());
        Assert.Equal(0, result.GetProperty("messages_missing").GetInt32());

        // A busy machine may fall short of the rate, or be late with what was due before. Each process with the whole rate would have twice as many.
        Assert.InRange(result.GetProperty("messages").GetInt64(), 200, rate.Length > 0 ? (long)(2000 * took) : long.MaxValue);
        Assert.Equal(result.GetProperty("messages").GetInt64(), result.GetProperty("message_latency_us").GetProperty("count").GetInt64());
        await both.HasClosedAsync(200, "ecm", "ended");
    }

    [Theory]
    [InlineData("")]
    [InlineData("--rate=100")]
    public async Task An_echo_that_is_under_way_at_the_end_is_waited_for(string rate)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        using ChildProcess bench = Start(
        [
            "echo", "--to", $"{listener.LocalEndpoint}", "--connections", "1", "--warmup", "0", "--seconds", "2",
            "--json", "-", .. Arguments(rate),
        ]);
        using Socket client = await listener.AcceptSocketAsync();
        byte[] message = new byte[64 << 10];
        await client.SendAsync(message.AsMemory(0, await client.ReceiveAsync(message)));

        // What comes next is answered after the run's time; a client that did not wait would have ended its stream by then.
        int received = 0;
        for (long until = Environment.TickCount64 + 3000; Environment.TickCount64 < until; await Task.Delay(10))
        {
            if (client.Available > 0) received += await client.ReceiveAsync(message.AsMemory(received));
        }

        Assert.NotEqual(0, received);
        Assert.False(client.Poll(0, SelectMode.SelectRead), "the client has ended its stream before its answer came");
        await client.SendAsync(message.AsMemory(0, received));
        Assert.Equal(0, await client.ReceiveAsync(message));
        Assert.Equal(0, await bench.EndAsync());
        Assert.Equal(0, Json(bench).GetProperty("messages_missing").GetInt32());
    }

    [Fact]
    public async Task A_split_run_that_is_interrupted_closes_its_clients_and_reports_its_results()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        using ChildProcess bench = Start(
            "xmpp", "--to", $"{both.Clients}", "--login", "none", "--sessions", "40", "--processes", "2", "--hold", "60", "--json", "-");
        await both.HasSessionsAsync(40);
        bench.Signal(Signals.Terminate);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(40, Json(bench).GetProperty("logged_in").GetInt32());
        Assert.Empty(Json(bench).GetProperty("problems").EnumerateObject());
        await both.HasClosedAsync(40, "ecm", "ended");
    }

    [Fact]
    public async Task A_process_of_a_split_run_that_dies_is_a_problem()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        using ChildProcess bench = Start(
            "connect", "--to", $"{both.Clients}", "--connections", "20", "--processes", "2", "--say", "1", "--hold", "3", "--json", "-");
        await both.HasClientsAsync(20);
        Signals.Send(ChildOf(bench), Signals.Kill);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(1, Json(bench).GetProperty("problems").GetProperty("a process of the run ended without results").GetInt32());
        Assert.Equal(10, Json(bench).GetProperty("connected").GetInt32());
    }

    [Theory]
    [InlineData]
    [InlineData("--rate", "1000")]
    public async Task An_echo_is_measured_in_closed_loops_and_at_a_fixed_rate(params string[] more)
    {
        string picture = Path.Combine(Path.GetTempPath(), $"megaphone-bench-{Guid.NewGuid():N}.svg");
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        try
        {
            JsonElement result = await RunAsync(
                0, ["echo", "--to", $"{both.Clients}", "--connections", "20", "--warmup", "0.2", "--seconds", "1", "--svg", picture, .. more]);

            Assert.True(result.GetProperty("messages").GetInt32() >= 20);
            Assert.Equal(0, result.GetProperty("messages_missing").GetInt32());
            Assert.StartsWith("<svg", await File.ReadAllTextAsync(picture), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(picture);
        }
    }

    [Fact]
    public async Task Connections_are_held_from_when_an_echo_has_answered_them()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        JsonElement result = await RunAsync(0, "connect", "--to", $"{both.Clients}", "--connections", "100", "--say", "1000", "--hear", "1000");

        Assert.Equal(100_000, result.GetProperty("bytes_in").GetInt32());
        Assert.Equal(
            ["before", "connected", "heard", "after the end"],
            result.GetProperty("phases").EnumerateArray().Select(phase => phase.GetProperty("phase").GetString()));
    }

    [Fact]
    public async Task Where_all_logins_are_refused_nobody_is_held_and_nothing_is_closed()
    {
        const int Clients = 3;
        using TcpListener server = new(IPAddress.Loopback, 0);
        server.Start();
        using ChildProcess bench = Start(
            "xmpp", "--to", $"{server.LocalEndpoint}", "--clients", $"{Clients}", "--login", "plain", "--hold", "3600", "--json", "-");
        for (int i = 0; i < Clients; i++) await RefuseAsync(server);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(Clients, Json(bench).GetProperty("problems").GetProperty("login refused: not-authorized").GetInt32());
        Assert.Contains(bench.Errors, line => line.StartsWith("logging in: ", StringComparison.Ordinal));
        Assert.DoesNotContain(bench.Errors, line => line.StartsWith("holding", StringComparison.Ordinal));

        static async Task RefuseAsync(TcpListener server)
        {
            using Socket client = await server.AcceptSocketAsync();
            byte[] buffer = new byte[1000];
            await client.ReceiveAsync(buffer);
            await client.SendAsync(
                """
                <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'><stream:features>
                <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
                """u8.ToArray());
            await client.ReceiveAsync(buffer);
            await client.SendAsync("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"u8.ToArray());

            // To its end, which the client makes.
            while (await client.ReceiveAsync(buffer) > 0)
            {
            }
        }
    }

    [Fact]
    public async Task A_flood_of_packets_goes_through_a_hub_and_none_is_lost()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        JsonElement result = await RunAsync(
            0, "flood", "--to", $"{hub.Hub}", "--sessions", "50", "--bytes", "100", "--warmup", "0.1", "--seconds", "0.5",
            "--watch", $"{hub.Process.Id}");

        Assert.True(result.GetProperty("packets").GetDouble() >= 50);
        Assert.Equal(0, result.GetProperty("bytes_missing").GetInt64());
        Assert.Empty(hub.Complaints());
    }

    [Fact]
    public async Task The_echo_server_answers_connections_and_a_link()
    {
        using ChildProcess server = Start("echo-server", "--listen", "127.0.0.1:0", "--congestion", "reno");
        string ready = await server.LineAsync("megaphone bench echo-server ready ");
        string address = ready.Split(' ')[^1];

        await RunAsync(0, "echo", "--to", address, "--connections", "20", "--warmup", "0", "--seconds", "0.3");
        await RunAsync(0, "flood", "--to", address, "--bytes", "100", "--warmup", "0", "--seconds", "0.3");
    }

    [Theory]
    [InlineData("127.0.0.1:0", "nothing", "no congestion control nothing: No such file or directory (errno 2)")]
    [InlineData("192.0.2.1:7000", "reno", "cannot listen on 192.0.2.1:7000: Cannot assign requested address (errno 99)")]
    public async Task An_echo_server_that_cannot_listen_says_why(string listen, string congestion, string reason)
    {
        using ChildProcess server = Start("echo-server", "--listen", listen, "--congestion", congestion);

        Assert.Equal(1, await server.EndAsync());
        Assert.Equal([$"megaphone bench: {reason}"], server.Errors);
    }

    [Fact]
    public async Task An_echo_server_without_a_descriptor_for_another_client_ends_and_says_so()
    {
        using ChildProcess server = ChildProcess.Start(
            ["prlimit", "--nofile=100", Repository.Binary, "bench", "echo-server", "--listen", "127.0.0.1:0"]);
        string ready = await server.LineAsync("megaphone bench echo-server ready ");

        // Its kernel establishes all of them; only those that it has accepted are answered.
        await RunAsync(1, "connect", "--to", ready.Split(' ')[^1], "--connections", "120", "--say", "1", "--hear", "1", "--patience", "1");

        Assert.Equal(1, await server.EndAsync());
        Assert.Equal(
            [
                "megaphone bench: no descriptor is left for another client: Too many open files (errno 24); this process may have 100; "
                + "raise its hard limit (ulimit -Hn, LimitNOFILE), or let fewer clients connect",
            ],
            server.Errors);
    }

    [Fact]
    public async Task Connections_that_are_refused_are_counted_by_their_kind()
    {
        // Bound, so that nobody else gets the port, but not listening.
        using Socket nobody = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        nobody.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        JsonElement result = await RunAsync(1, "connect", "--to", $"{nobody.LocalEndPoint}", "--connections", "5");

        Assert.Equal(5, result.GetProperty("problems").GetProperty("no connection, Connection refused (errno 111)").GetInt32());
    }

    [Fact]
    public async Task Too_few_descriptors_are_reported_before_anything_is_opened()
    {
        using ChildProcess bench = ChildProcess.Start(
            ["prlimit", "--nofile=100", Repository.Binary, "bench", "echo", "--to", "127.0.0.1:1", "--connections", "50", "--processes", "1"]);

        Assert.Equal(1, await bench.EndAsync());
        Assert.Equal(
            [
                "megaphone bench: 50 connections need as many descriptors and 64 more, and this process may have 100; "
                + "raise its hard limit (ulimit -Hn, LimitNOFILE), or use more processes",
            ],
            bench.Errors);
    }

    [Fact]
    public async Task Each_problem_of_the_command_line_is_reported_on_a_line_of_its_own()
    {
        using ChildProcess bench = Start("link", "--to", "nowhere", "--sesions", "5");

        Assert.Equal(2, await bench.EndAsync());
        Assert.Equal(3, bench.Errors.Count);
        Assert.All(bench.Errors, line => Assert.StartsWith("megaphone bench: --", line, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("connect", "--help")]
    [InlineData("echo", "--help")]
    [InlineData("xmpp", "--help")]
    [InlineData("link", "--to", "nowhere", "--help")]
    [InlineData("flood", "--help")]
    [InlineData("echo-server", "--help")]
    [InlineData("chart", "--help")]
    public async Task Every_mode_has_help(params string[] arguments)
    {
        using ChildProcess bench = Start(arguments);

        Assert.Equal(0, await bench.EndAsync());
        Assert.NotEmpty(bench.Output);
        Assert.Empty(bench.Errors);
    }

    private static string[] Arguments(string many) => many.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static ChildProcess Start(params string[] arguments) => ChildProcess.Start([Repository.Binary, "bench", .. arguments]);

    /// <summary>Runs it to its end.</summary>
    private static async Task<JsonElement> RunAsync(int status, params string[] arguments)
    {
        using ChildProcess bench = Start([.. arguments, "--json", "-"]);
        int ended = await bench.EndAsync();
        Assert.True(ended == status, $"It ended with {ended}:\n{string.Join('\n', bench.Output.Concat(bench.Errors))}");
        return Json(bench);
    }

    /// <summary>One of the processes that it has started, whichever thread did.</summary>
    private static int ChildOf(ChildProcess process) => Directory.GetDirectories($"/proc/{process.Id}/task")
        .SelectMany(task => File.ReadAllText($"{task}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Select(id => int.Parse(id, CultureInfo.InvariantCulture)).First();

    private static JsonElement Json(ChildProcess bench) => JsonDocument.Parse(string.Join('\n', bench.Output)).RootElement;
}
