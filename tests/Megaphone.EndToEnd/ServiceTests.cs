using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>Command line, configuration, exit statuses, signals and the admin endpoint, as an operator meets them.</summary>
public sealed class ServiceTests : IDisposable
{
    private static readonly string[] Listeners = ["Ecm:Clients:0:Listen", "Hub:Listen", "Admin:Listen"];

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Help_and_version_are_printed_and_end_with_0()
    {
        (ChildProcess help, int helped) = await MegaphoneProcess.RunAsync(["--help"]);
        (ChildProcess version, int versioned) = await MegaphoneProcess.RunAsync(["--version"]);

        Assert.Equal((0, 0), (helped, versioned));
        Assert.Contains(help.Output, line => line.Contains("megaphone check", StringComparison.Ordinal));
        Assert.Contains(help.Output, line => line.Contains("--config", StringComparison.Ordinal));
        Assert.Matches(@"^megaphone \d+\.\d+\.\d+", Assert.Single(version.Output));
        Assert.Empty(help.Errors);
    }

    [Theory]
    [InlineData("frobnicate", "frobnicate")]
    [InlineData("run frobnicate", "frobnicate")]
    [InlineData("--Ecm:MaxClients=many", "Ecm:MaxClients")]
    [InlineData("--Ecm:MaxClients=0", "Ecm:MaxClients")]
    [InlineData("--Ecm:MaxKlients=10", "Ecm:MaxKlients")]
    [InlineData("--Hub:Backend=udp://127.0.0.1:1", "Hub:Backend")]
    [InlineData("--Hub:Listen=0.0.0.0:6280", "Hub:Listen")]
    [InlineData("--config=/does/not/exist.json", "/does/not/exist.json")]
    [InlineData("check --Ecm:Proxy=v3", "Ecm:Proxy")]
    public async Task A_usage_or_configuration_error_is_one_line_and_status_2(string arguments, string named)
    {
        (ChildProcess process, int status) = await MegaphoneProcess.RunAsync(arguments.Split(' '), _folder);

        Assert.Equal(2, status);
        Assert.Contains(named, Assert.Single(process.Errors));
        Assert.DoesNotContain(process.Output, line => line.StartsWith("megaphone ready", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_problem_has_a_line_with_key_value_and_a_valid_example()
    {
        string file = Path.Combine(_folder, "wrong.json");
        await File.WriteAllTextAsync(file, """{ "Ecm": { "MaxClients": -5, "Proxy": "v9" }, "Hub": { "Bakcend": "echo:" } }""");

        (ChildProcess process, int status) = await MegaphoneProcess.RunAsync(["--config", file], _folder);

        Assert.Equal(2, status);
        Assert.Equal(3, process.Errors.Count);
        Assert.Contains(
            process.Errors,
            line => line.Contains("Ecm:MaxClients", StringComparison.Ordinal) && line.Contains("-5") && line.Contains("20000"));
        Assert.Contains(process.Errors, line => line.Contains("Ecm:Proxy", StringComparison.Ordinal) && line.Contains("v9") && line.Contains("v2"));
        Assert.Contains(process.Errors, line => line.Contains("Hub:Bakcend", StringComparison.Ordinal) && line.Contains("Hub:Backend"));
    }

    [Fact]
    public async Task A_secret_is_never_printed()
    {
        (ChildProcess process, int status) = await MegaphoneProcess.RunAsync(
            ["--Hub:Secret", "hush", "--Hub:Listen", "127.0.0.1:0", "--Admin:Listen", "127.0.0.1:0"]);

        Assert.Equal(2, status);
        Assert.DoesNotContain("hush", process.Said);
    }

    [Fact]
    public async Task The_environment_overrides_the_file_and_the_command_line_overrides_both()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "megaphone.json"), """
            {
              // In the working directory, so it need not be named.
              "Ecm": { "Clients": [ { "Listen": "127.0.0.1:0" } ], "MaxClients": 11, "Link": { "Name": "file" } },
              "Hub": { "Listen": "127.0.0.1:0", "Name": "file", "MaxLinks": 1 },
              "Admin": { "Listen": "127.0.0.1:0" },
            }
            """);
        using ChildProcess process = ChildProcess.Start(
            [Repository.Binary, "--Hub:Name", "command line"],
            _folder,
            new Dictionary<string, string?> { ["MEGAPHONE_HUB__NAME"] = "environment", ["MEGAPHONE_ECM__LINK__NAME"] = "environment" });

        await process.LineAsync("megaphone ready");

        // Both ends of the one link write what the other one calls itself.
        await BoundedWait.UntilAsync(
            () => process.Output.Any(line => line.Contains(" environment", StringComparison.Ordinal)),
            "the ECM's name from the environment");
        await BoundedWait.UntilAsync(
            () => process.Output.Any(line => line.Contains("command line", StringComparison.Ordinal)),
            "the hub's name from the command line");
        process.Signal(Signals.Terminate);
        Assert.Equal(0, await process.EndAsync());
    }

    [Fact]
    public async Task Without_any_configuration_clients_are_linked_to_the_echo()
    {
        // The usual ports, so in a network of its own: this machine may be using them.
        using ChildProcess process = ChildProcess.Start(
            ["unshare", "--net", "--map-root-user", "/bin/sh", "-c", "ip link set lo up && exec \"$0\"", Repository.Binary], _folder);
        string ready = await process.LineAsync("megaphone ready");

        Assert.Contains("ecm=127.0.0.1:5222", ready);
        Assert.Contains("hub=127.0.0.1:6280", ready);
        Assert.Contains("admin=127.0.0.1:6281", ready);
        using ChildProcess client = ChildProcess.Start(
            ["nsenter", $"--target={process.Id}", "--user", "--net", "--preserve-credentials", "/usr/bin/python3", "-c", """
                import socket, time
                for attempt in range(100):
                    client = socket.create_connection(("127.0.0.1", 5222), timeout=10)
                    try:
                        client.sendall(b"hello")
                        heard = client.recv(5, socket.MSG_WAITALL)
                    except ConnectionError:
                        heard = b""
                    if heard == b"hello":
                        print("echoed")
                        break
                    time.sleep(0.05)  # the link is not up yet
                """]);
        Assert.Equal(0, await client.EndAsync());
        Assert.Equal("echoed", Assert.Single(client.Output));
        process.Signal(Signals.Terminate);
        Assert.Equal(0, await process.EndAsync());
    }

    [Fact]
    public async Task The_ready_line_is_printed_once_with_real_ports()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Clients:1:Listen=[::1]:0");

        Assert.Equal(2, both.ClientListeners.Count);
        Assert.All([.. both.ClientListeners, both.Hub, both.Admin], address => Assert.NotEqual(0, address.Port));
        foreach (IPEndPoint listener in both.ClientListeners)
        {
            using TestConnection client = await TestConnection.ConnectAsync(listener);
            await client.AssertEchoesAsync();
        }

        Assert.Equal(1, both.LogLines("megaphone ready"));
        await both.StopAsync();
        Assert.Equal(1, both.LogLines("megaphone ready"));
    }

    [Theory]
    [InlineData("Ecm:Clients:0:Listen")]
    [InlineData("Hub:Listen")]
    [InlineData("Admin:Listen")]
    public async Task A_port_in_use_is_reported_in_one_line_with_status_1(string key)
    {
        using TestBackend holder = new();
        string[] settings = [.. Listeners.Select(listener => $"{listener}={(listener == key ? holder.Address : "127.0.0.1:0")}")];

        (ChildProcess process, int status) = await MegaphoneProcess.RunAsync([.. MegaphoneProcess.Arguments(settings)]);

        Assert.Equal(1, status);
        string line = Assert.Single(process.Errors);
        Assert.Contains(key, line);
        Assert.Contains(holder.Address.ToString(), line);
        Assert.DoesNotContain(process.Output, said => said.StartsWith("megaphone ready", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Signals.Terminate)]
    [InlineData(Signals.Interrupt)]
    public async Task SIGTERM_and_SIGINT_end_it_with_0_within_StopTimeout(int signal)
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Service:StopTimeout=00:00:05");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(both.Clients, 20);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync();

        long began = Environment.TickCount64;
        both.Process.Signal(signal);
        Assert.Equal(0, await both.Process.EndAsync());

        Assert.InRange(Environment.TickCount64 - began, 0, 20_000);
        foreach (TestConnection client in clients)
        {
            await client.AssertIsGoneAsync();
            client.Dispose();
        }
    }

    [Fact]
    public async Task SIGTERM_ends_it_within_StopTimeout_even_if_queued_data_is_not_read()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Ecm:Link:Control=false", "Service:StopTimeout=00:00:02");
        using LinkPeer link = await hub.AcceptPlainAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        Task flood = Assert.ThrowsAnyAsync<Exception>(() => client.SendAsync(Sample.Bytes(64 << 20)));
        Assert.NotEmpty((await link.ReceiveAsync()).Content);

        // Until everything is full that the stop could wait for.
        await Task.Delay(BoundedWait.Watch);
        long began = Environment.TickCount64;
        await ecm.StopAsync();

        Assert.InRange(Environment.TickCount64 - began, 0, 20_000);
        await flood;
    }

    [Fact]
    public async Task Readiness_follows_the_link_and_health_does_not()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        (int status, string reason) = await ecm.GetAsync("/readyz");
        Assert.Equal(503, status);
        Assert.Contains("link", reason);

        LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        Assert.Equal(200, (await ecm.GetAsync("/readyz")).Status);

        link.Dispose();
        await ecm.HasLinksAsync(0, "ecm");
        Assert.Equal(503, (await ecm.GetAsync("/readyz")).Status);
        Assert.Equal(200, (await ecm.GetAsync("/healthz")).Status);

        using LinkPeer next = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        Assert.Equal(200, (await ecm.GetAsync("/readyz")).Status);
    }

    [Fact]
    public async Task A_hub_alone_is_ready_without_a_link()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();

        Assert.Equal(200, (await hub.GetAsync("/readyz")).Status);
        Assert.Equal(404, (await hub.GetAsync("/nothing-here")).Status);
    }

    [Fact]
    public async Task Every_documented_metric_is_exposed_from_the_start()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        MetricsSnapshot metrics = await both.MetricsAsync();

        Assert.Equal(0, metrics["megaphone_ecm_clients"]);
        Assert.Equal(0, metrics["megaphone_hub_sessions"]);
        string[] counts =
        [
            "sessions_opened_total", "sessions_closed_total", "dropped_packets_total", "protocol_errors_total", "pauses_total",
            "buffered_bytes", "refused_total", "control_ignored_total",
        ];
        foreach (string role in new[] { "role=ecm", "role=hub" })
        {
            Assert.Equal(1, metrics["megaphone_links", role]);
            foreach (string name in counts)
                Assert.Equal(0, metrics["megaphone_" + name, role]);
            foreach (string direction in new[] { "direction=in", "direction=out" })
            {
                Assert.InRange(metrics["megaphone_link_packets_total", role, direction], 0, 10);
                Assert.InRange(metrics["megaphone_link_bytes_total", role, direction], 0, 1000);
            }
        }
    }

    [Fact]
    public async Task Links_count_packets_and_bytes_with_their_headers()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);

        for (int i = 0; i < 10; i++) await link.AssertEchoesAsync(1, "0123456789");

        await hub.ReachesAsync(10, "megaphone_link_packets_total", "role=hub", "direction=in");
        await hub.ReachesAsync(420, "megaphone_link_bytes_total", "role=hub", "direction=in");
        await hub.ReachesAsync(10, "megaphone_link_packets_total", "role=hub", "direction=out");
        await hub.ReachesAsync(420, "megaphone_link_bytes_total", "role=hub", "direction=out");
    }

    [Fact]
    public async Task Where_Admin_is_false_there_is_no_endpoint()
    {
        string file = Path.Combine(_folder, "quiet.json");
        await File.WriteAllTextAsync(file, """{ "Hub": { "Listen": "127.0.0.1:0" }, "Admin": false }""");
        using ChildProcess process = ChildProcess.Start([Repository.Binary, "--config", file], _folder);

        Assert.DoesNotContain("admin=", await process.LineAsync("megaphone ready"));
        process.Signal(Signals.Terminate);
        Assert.Equal(0, await process.EndAsync());
    }

    [Fact]
    public async Task The_service_manager_gets_READY_when_listeners_are_bound_and_STOPPING_at_the_end()
    {
        string path = Path.Combine(_folder, "notify");
        using Socket manager = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(path));
        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync(
            ["Hub:Listen=127.0.0.1:0"], environment: new Dictionary<string, string?> { ["NOTIFY_SOCKET"] = path });

        Assert.Equal("READY=1", await NextAsync(manager));
        await hub.StopAsync();
        Assert.Equal("STOPPING=1", await NextAsync(manager));
    }

    [Fact]
    public async Task Check_reports_problems_with_their_fixes_and_does_not_listen()
    {
        string[] fitting = ["check", "--Ecm:Clients:0:Listen", "127.0.0.1:0", "--Ecm:MaxClients", "100", "--Hub:Listen", "127.0.0.1:0",
            "--Hub:MaxSessions", "100", "--Admin:Listen", "127.0.0.1:0"];
        (ChildProcess fits, int fitted) = await MegaphoneProcess.RunAsync(fitting);
        Assert.True(fitted == 0, fits.Said);
        Assert.DoesNotContain(fits.Output, line => line.StartsWith("megaphone ready", StringComparison.Ordinal));

        ChildProcess tight = ChildProcess.Start(["prlimit", "--nofile=256:256", Repository.Binary, .. fitting, "--Ecm:MaxClients", "5000"]);
        Assert.Equal(1, await tight.EndAsync());
        Assert.Matches("open files.* 256, and 5[0-9]{3} are needed", tight.Said);
        Assert.Contains("LimitNOFILE=5", tight.Said);
        tight.Dispose();
    }

    private static async Task<string> NextAsync(Socket manager)
    {
        byte[] datagram = new byte[1024];
        int length = await BoundedWait.WithinAsync(manager.ReceiveAsync(datagram), "a datagram for the service manager");
        return Encoding.ASCII.GetString(datagram, 0, length);
    }
}
