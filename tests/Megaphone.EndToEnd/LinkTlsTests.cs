using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd;

/// <summary>Clients ── ECM ══ TLS ══ hub with its echo, with the certificates that the operating manual makes.</summary>
public sealed class LinkTlsTests : IAsyncLifetime, IDisposable
{
    private const int Clients = 50;

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-link-tls-").FullName;

    public async Task InitializeAsync()
    {
        await MakeCertificateAsync("hub", days: 90, "-addext", "subjectAltName=IP:127.0.0.1");
        await MakeCertificateAsync("edge", days: 90);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Many_clients_exchange_data_both_ways_and_all_end_in_order()
    {
        using MegaphoneProcess hub = await HubAsync();
        using MegaphoneProcess ecm = await EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, Clients);
        byte[] words = Sample.Bytes(300_000);
        await BoundedWait.WithinAsync(Task.WhenAll(clients.Select(async client =>
        {
            Task sending = client.SendAsync(words);
            Sample.AssertSame(words, await client.ReceiveAsync(words.Length));
            await sending;
        })), "everything to come back");
        Assert.Equal(1, ecm.LogLines("control over TLS 1.3"));
        Assert.Equal(1, hub.LogLines("control over TLS 1.3"));

        clients.ForEach(client => client.Dispose());
        await hub.HasSessionsAsync(0);
        await ecm.StopAsync();
        await hub.HasLinksAsync(0, "hub");
        await hub.StopAsync();
        Assert.Equal(0, hub.LogLines("truncated"));
        Assert.Equal(1, hub.LogLines("closed by the other side: shutting down"));
        Assert.Empty(ecm.Complaints().Concat(hub.Complaints()));
    }

    [Theory]
    [InlineData("Asia/Tokyo")]
    [InlineData("America/Los_Angeles")]
    public async Task Certificates_are_judged_alike_in_every_time_zone(string zone)
    {
        Dictionary<string, string?> environment = new() { ["TZ"] = zone };
        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync(["Hub:Listen=127.0.0.1:0", .. HubSettings()], environment: environment);
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={hub.Hub}", .. EcmSettings()], environment: environment);

        await ecm.HasLinksAsync(1, "ecm");
    }

    [Fact]
    public async Task When_the_hub_is_killed_the_link_is_lost_and_reconnected()
    {
        MegaphoneProcess hub = await HubAsync("Hub:ResumeTimeout=0s");
        using MegaphoneProcess ecm = await EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        for (int round = 0; round < 2; round++)
        {
            List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, Clients);
            foreach (TestConnection client in clients) await client.AssertEchoesAsync();
            if (round == 1)
            {
                clients.ForEach(client => client.Dispose());
                break;
            }

            await hub.KillAsync();
            foreach (TestConnection client in clients) await client.AssertIsGoneAsync();
            clients.ForEach(client => client.Dispose());
            await ecm.HasLinksAsync(0, "ecm");
            IPEndPoint address = hub.Hub;
            hub.Dispose();
            hub = await HubAsync($"Hub:Listen={address}", "Hub:ResumeTimeout=0s");
            await ecm.HasLinksAsync(1, "ecm");
        }

        await ecm.KillAsync();
        await hub.HasLinksAsync(0, "hub");
        await hub.HasSessionsAsync(0);
        hub.Dispose();
    }

    [Fact]
    public async Task A_hanging_hub_is_detected_by_KeepAlive()
    {
        using MegaphoneProcess hub = await HubAsync("Service:KeepAlive=00:00:01");
        using MegaphoneProcess ecm = await EcmAsync(hub.Hub, "Service:KeepAlive=00:00:01");
        await ecm.HasLinksAsync(1, "ecm");
        hub.Process.Signal(Signals.Stop);
        await ecm.HasLinksAsync(0, "ecm");
        hub.Process.Signal(Signals.Continue);
        await ecm.HasLinksAsync(1, "ecm");
    }

    [Fact]
    public async Task Garbage_on_the_port_affects_no_link()
    {
        using MegaphoneProcess hub = await HubAsync();
        using MegaphoneProcess ecm = await EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        Random random = new(1);
        byte[][] garbage =
        [
            .. Enumerable.Range(0, 20).Select(i =>
            {
                byte[] bytes = Sample.Bytes(random.Next(1, 5_000));
                byte[] beginning = i % 2 == 0 ? [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3] : [];
                return (byte[])[.. beginning, .. bytes];
            }),
        ];
        foreach (byte[] bytes in garbage)
        {
            using TestConnection scanner = await TestConnection.ConnectAsync(hub.Hub);
            await scanner.SendAsync(bytes);
            scanner.EndSending();
            await scanner.AssertIsGoneAsync();
            await client.AssertEchoesAsync();
        }

        await hub.ReachesAsync(garbage.Length, "megaphone_refused_total", "role=hub", "reason=tls");
        await hub.ComplainsAsync(garbage.Length, "Link ");
        Assert.Equal(1, (await hub.MetricsAsync())["megaphone_links", "role=hub"]);
    }

    [Fact]
    public async Task New_files_are_used_for_new_links()
    {
        using MegaphoneProcess hub = await HubAsync();
        using MegaphoneProcess ecm = await EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await hub.IsDaysAheadAsync(89, "megaphone_link_certificate_expiry_seconds", "role=hub", $"certificate={PathOf("hub.pem")}");

        await File.WriteAllTextAsync(PathOf("edges.pem"), "garbage");
        await hub.ReachesAtLeastAsync(1, "megaphone_link_certificate_reloads_total", "role=hub", "result=failed");
        await client.AssertEchoesAsync();

        // Another ECM's certificate replaces this one's: the existing link stays, the next is refused.
        await MakeCertificateAsync("other", days: 60);
        File.Copy(PathOf("other.pem"), PathOf("edges.pem"), overwrite: true);
        await hub.IsDaysAheadAsync(59, "megaphone_link_certificate_expiry_seconds", "role=hub", $"certificate={PathOf("edges.pem")}");
        await client.AssertEchoesAsync();

        using MegaphoneProcess refused = await EcmAsync(hub.Hub);
        await refused.ComplainsAsync(1, "refused by the other side: the certificate CN=edge");
        using MegaphoneProcess other = await EcmAsync(
            hub.Hub, $"Ecm:Link:Tls:Certificate={PathOf("other.pem")}", $"Ecm:Link:Tls:Key={PathOf("other.key")}");
        await other.HasLinksAsync(1, "ecm");
    }

    [Fact]
    public async Task Both_roles_of_one_process_can_link_over_TLS()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync([.. HubSettings(), .. EcmSettings()]);
        using TestConnection client = await TestConnection.ConnectAsync(both.Clients);
        await client.AssertEchoesAsync();
    }

    [Fact]
    public async Task Unusable_files_are_reported_at_the_start_and_by_check()
    {
        File.Copy(PathOf("edge.key"), PathOf("hub.key"), overwrite: true);
        await File.WriteAllTextAsync(PathOf("edges.pem"), "garbage");
        string[] arguments =
        [
            .. MegaphoneProcess.Arguments(["Hub:Listen=127.0.0.1:0", "Admin:Listen=127.0.0.1:0", "Hub:MaxSessions=100", .. HubSettings()]),
        ];
        (ChildProcess run, int status) = await MegaphoneProcess.RunAsync(["run", .. arguments]);
        (ChildProcess check, int checkStatus) = await MegaphoneProcess.RunAsync(["check", .. arguments]);
        using (run)
        using (check)
        {
            Assert.Equal((1, 1), (status, checkStatus));
            Assert.Contains(
                run.Errors,
                line => line.StartsWith("megaphone: Hub:Tls: ", StringComparison.Ordinal)
                    && line.Contains("hub.key: ") && line.Contains("edges.pem: "));
            Assert.Contains(check.Output, line => line.Contains("FAIL  Hub:Tls") && line.Contains("hub.key: "));
            Assert.Contains(check.Output, line => line.Contains("FAIL  Hub:Tls") && line.Contains("edges.pem: there is no certificate in it"));
        }
    }

    [Fact]
    public async Task A_stop_ends_in_time_even_if_the_other_end_does_not_read()
    {
        using MegaphoneProcess hub = await HubAsync();
        using MegaphoneProcess ecm = await EcmAsync(hub.Hub, "Service:StopTimeout=00:00:02");
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.AssertEchoesAsync();
        hub.Process.Signal(Signals.Stop);
        Task flooding = client.SendAsync(new byte[32 << 20]);
        // What is being sent when the kernel accepts no more is not counted yet: how much that is varies.
        await ecm.ReachesAtLeastAsync(50_000, "megaphone_link_bytes_total", "role=ecm", "direction=out");

        await ecm.StopAsync();
        await Assert.ThrowsAnyAsync<SocketException>(() => flooding);
        hub.Process.Signal(Signals.Continue);
        await hub.HasLinksAsync(0, "hub");
    }

    private string PathOf(string file) => Path.Combine(_folder, file);

    private string[] HubSettings() =>
        [$"Hub:Tls:Certificate={PathOf("hub.pem")}", $"Hub:Tls:Key={PathOf("hub.key")}", $"Hub:Tls:ClientCa={PathOf("edges.pem")}"];

    private string[] EcmSettings() =>
        [$"Ecm:Link:Tls:Ca={PathOf("hub.pem")}", $"Ecm:Link:Tls:Certificate={PathOf("edge.pem")}", $"Ecm:Link:Tls:Key={PathOf("edge.key")}"];

    private Task<MegaphoneProcess> HubAsync(params string[] settings) => MegaphoneProcess.HubAsync([.. HubSettings(), .. settings]);

    private Task<MegaphoneProcess> EcmAsync(IPEndPoint to, params string[] settings) =>
        MegaphoneProcess.EcmAsync(to, [.. EcmSettings(), .. settings]);

    private async Task MakeCertificateAsync(string name, int days, params string[] more)
    {
        using ChildProcess openssl = ChildProcess.Start(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", $"{days}", "-subj", $"/CN={name}",
            .. more, "-out", PathOf($"{name}.pem"), "-keyout", PathOf($"{name}.key"),
        ]);
        Assert.Equal(0, await openssl.EndAsync());
        if (name == "edge") File.Copy(PathOf("edge.pem"), PathOf("edges.pem"), overwrite: true);
    }
}
