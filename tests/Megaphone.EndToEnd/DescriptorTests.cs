using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Megaphone.EndToEnd;

/// <summary>Clients that take and hold all the descriptors they can get do not stop the process.</summary>
public sealed class DescriptorTests : IDisposable
{
    /// <summary>The limit, of which 130 are kept back: 64, two links, and the 64 connections of the admin endpoint.</summary>
    private const int Limit = 300;
    private const int ForClients = Limit - 130;

    private static readonly IPAddress One = IPAddress.Parse("127.0.0.8");
    private static readonly IPAddress Other = IPAddress.Parse("127.0.0.9");

    private readonly TestCertificates _certificates = new();
    private readonly List<IDisposable> _clients = [];

    public void Dispose()
    {
        _clients.ForEach(client => client.Dispose());
        _certificates.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Clients_cannot_use_up_the_descriptors_that_the_process_needs(int listener)
    {
        _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:ResumeTimeout=0s");
        using TcpProxy between = new(hub.Hub);
        using MegaphoneProcess ecm = await StartAsync(between.Address);
        await ecm.HasLinksAsync(2, "ecm");

        // In the middle of their handshakes on the second listener, with their TLS on the third.
        for (int i = 0; i < 2 * Limit; i++) await ConnectAsync(ecm.ClientListeners[listener], tls: listener == 2 && i < 20);
        await ecm.ReachesAtLeastAsync(2 * Limit - ForClients, "megaphone_refused_total", "role=ecm", "reason=descriptors");

        await AssertIsSoundAsync(ecm);
        await AssertRestsAsync(ecm);
        _certificates.Issue("localhost", ["localhost"]);
        await ecm.ReachesAtLeastAsync(1, "megaphone_ecm_certificate_reloads_total", "result=ok");

        // Its clients stay for a while: ten are disconnected in a second.
        between.CutOne();
        await BoundedWait.UntilAsync(() => ecm.LogLines("is down") == 1, "the end of a link");
        await ecm.HasLinksAsync(2, "ecm");
        await AssertIsSoundAsync(ecm);

        _clients.ForEach(client => client.Dispose());
        await ecm.HasClientsAsync(0);
        await ecm.ReachesAsync(0, "megaphone_ecm_handshaking");
        using TestConnection plain = await TestConnection.ConnectAsync(ecm.ClientListeners[0]);
        await plain.AssertEchoesAsync();
        using TlsClient secured = await TlsClient.ConnectAsync(ecm.ClientListeners[2]);
        await secured.AssertEchoesAsync();
    }

    /// <summary>Who held all descriptors without a login used to keep everybody else out.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task When_all_are_in_use_those_of_the_busiest_address_give_way_who_have_not_logged_in(int listener)
    {
        const int Newcomers = 40;
        _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using MegaphoneProcess ecm = await StartAsync(hub.Hub);
        await ecm.HasLinksAsync(2, "ecm");
        TestConnection first = await TestConnection.ConnectAsync(ecm.Clients, One);
        _clients.Add(first);
        await first.AssertEchoesAsync();
        for (int i = 0; i < 2 * Limit; i++) _clients.Add(await TestConnection.ConnectAsync(ecm.ClientListeners[listener], One));
        await ecm.ReachesAtLeastAsync(2 * Limit - ForClients, "megaphone_refused_total", "role=ecm", "reason=descriptors");

        // The last of them may not have been accepted yet.
        long refused = -1, looks = 0;
        await BoundedWait.UntilAsync(
            async () =>
            {
                await Task.Delay(BoundedWait.Watch);
                long before = refused;
                refused = (await ecm.MetricsAsync())["megaphone_refused_total", "role=ecm", "reason=descriptors"];
                looks = refused == before ? looks + 1 : 0;
                return looks == 3;
            },
            () => $"no more are refused, {refused} are");

        // Who has sent something counts as logged in here.
        for (int i = 0; i < Newcomers; i++)
        {
            if (i % 2 == 0)
            {
                TestConnection plain = await TestConnection.ConnectAsync(ecm.Clients, Other);
                _clients.Add(plain);
                await plain.AssertEchoesAsync();
            }
            else
            {
                TlsClient secured = await TlsClient.ConnectAsync(ecm.ClientListeners[2]);
                _clients.Add(secured);
                await secured.AssertEchoesAsync();
            }
        }

        await first.AssertEchoesAsync();
        MetricsSnapshot metrics = await ecm.MetricsAsync();
        Assert.Equal(refused, metrics["megaphone_refused_total", "role=ecm", "reason=descriptors"]);
        Assert.InRange(metrics["megaphone_limited_total", "limit=descriptors"], Newcomers, 2 * Newcomers);

        // What is kept back is as large as before, but for what the admin endpoint opens for these questions.
        await BoundedWait.UntilAsync(
            () => Task.FromResult(ecm.Process.Descriptors <= ForClients + Newcomers / 2), () => $"less descriptors than {ecm.Process.Descriptors}");
        await AssertIsSoundAsync(ecm);
    }

    private Task<MegaphoneProcess> StartAsync(IPEndPoint hub) => MegaphoneProcess.StartAsync(
        [
            $"Ecm:Link:To={hub}", "Ecm:Link:Count=2", "Ecm:Link:RetryMax=00:00:00.5", "Ecm:CloseRate=10", "Ecm:Tls:HandshakeTimeout=00:05:00",
            "Ecm:Clients:0:Listen=127.0.0.1:0",
            "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Tls=starttls",
            "Ecm:Clients:2:Listen=127.0.0.1:0", "Ecm:Clients:2:Tls=direct", .. _certificates.Settings("localhost"),
        ],
        launcher: ["prlimit", $"--nofile={Limit}:{Limit}"]);

    private async Task ConnectAsync(IPEndPoint to, bool tls)
    {
        if (!tls)
        {
            _clients.Add(await TestConnection.ConnectAsync(to));
            return;
        }

        TlsClient client = await TlsClient.ConnectAsync(to);
        _clients.Add(client);
        await client.AssertEchoesAsync();
    }

    private static async Task AssertIsSoundAsync(MegaphoneProcess process)
    {
        for (int i = 0; i < 10; i++) Assert.Equal(200, (await process.GetAsync("/healthz")).Status);
    }

    /// <summary>Asserts that it uses hardly any processor time while idle.</summary>
    private static async Task AssertRestsAsync(MegaphoneProcess process)
    {
        (double before, long began) = (ProcessorSeconds(process), Stopwatch.GetTimestamp());
        await Task.Delay(TimeSpan.FromSeconds(2));
        double share = (ProcessorSeconds(process) - before) / Stopwatch.GetElapsedTime(began).TotalSeconds;
        Assert.True(share < 0.2, $"It uses {share:F2} of a core.");
    }

    /// <summary>utime and stime, the 14th and 15th field of proc(5)'s stat, of which the 2nd may have spaces in it.</summary>
    private static double ProcessorSeconds(MegaphoneProcess process)
    {
        string stat = File.ReadAllText($"/proc/{process.Process.Id}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        const int TicksPerSecond = 100;
        return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / (double)TicksPerSecond;
    }
}
