using System.Net;

namespace Megaphone.EndToEnd;

/// <summary>Section 7 of the link protocol: links that break come back, and their sessions with them.</summary>
public sealed class LinkResumptionTests : IDisposable
{
    private const int Clients = 40;
    private const int Cuts = 30;

    private readonly TestCertificates _certificates = new();
    private readonly List<TestConnection> _clients = [];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Clients_notice_nothing_of_a_link_that_is_cut_again_and_again(bool tls)
    {
        if (tls) _certificates.Issue("localhost", ["localhost"]);
        string[] hubTls = tls
            ? [$"Hub:Tls:Certificate={_certificates.Files("localhost").Certificate}", $"Hub:Tls:Key={_certificates.Files("localhost").Key}"]
            : [];
        string[] ecmTls = tls ? [$"Ecm:Link:Tls:Ca={_certificates.AuthorityFile}", "Ecm:Link:Tls:Name=localhost"] : [];
        using ChildProcess backend = PythonPeer.Start("echo_backend.py");
        IPEndPoint server = await backend.ListeningAsync();

        // With a secret every line about the link is logged.
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync([$"Hub:Backend=tcp://{server}", "Hub:Secret=secret-of-a-test", .. hubTls]);
        using TcpProxy between = new(hub.Hub);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(between.Address, ["Ecm:Link:Secret=secret-of-a-test", .. ecmTls]);
        await ecm.HasLinksAsync(1, "ecm");
        int ecmIdle = await ecm.IdleDescriptorsAsync(), hubIdle = await hub.IdleDescriptorsAsync();
        _clients.AddRange(await TestConnection.ConnectManyAsync(ecm.Clients, Clients));
        foreach (TestConnection client in _clients) await client.AssertEchoesAsync();

        using CancellationTokenSource enough = new();
        byte[] words = Sample.Bytes(20_000);
        Task talking = Task.WhenAll(_clients.Select(async client =>
        {
            while (!enough.IsCancellationRequested)
            {
                await client.SendAsync(words);
                Sample.AssertSame(words, await client.ReceiveAsync(words.Length));
            }
        }));
        await between.CutAgainAndAgainAsync(Cuts, ecm);

        await enough.CancelAsync();
        await BoundedWait.WithinAsync(talking, "the last answers");
        foreach (MegaphoneProcess end in new[] { ecm, hub })
        {
            MetricsSnapshot metrics = await end.MetricsAsync();
            string role = end == ecm ? "role=ecm" : "role=hub";
            Assert.Equal(0, metrics["megaphone_sessions_closed_total", role]);
            Assert.Equal(0, metrics["megaphone_dropped_packets_total", role]);
            Assert.Equal(0, metrics["megaphone_protocol_errors_total", role]);
            Assert.Equal((Cuts, Cuts), (end.LogLines(" is cut after "), end.LogLines(" is back after ")));
        }

        await hub.HasSessionsAsync(Clients);
        _clients.ForEach(client => client.Dispose());
        await hub.HasSessionsAsync(0);
        await ecm.HasClientsAsync(0);
        await ecm.DescriptorsAreBackToAsync(ecmIdle);
        await hub.DescriptorsAreBackToAsync(hubIdle);

        // What is left are acknowledgements and pings, which are not acknowledged by themselves.
        long left = 0;
        await BoundedWait.UntilAsync(
            async () => (left = (await ecm.MetricsAsync())["megaphone_link_unacknowledged_bytes", "role=ecm"]) < 10_000,
            () => $"{left} bytes are not acknowledged");
    }

    [Fact]
    public async Task While_the_hub_is_gone_readiness_says_since_when_and_clients_wait()
    {
        MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Service:KeepAlive=00:00:01", "Hub:ResumeTimeout=4s");
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub, "Service:KeepAlive=00:00:01");
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.AssertEchoesAsync();

        await hub.KillAsync();
        await ecm.ReachesAsync(1, "megaphone_links_cut", "role=ecm");
        (int status, string why) = await ecm.GetAsync("/readyz");
        Assert.Equal(503, status);
        Assert.Contains(" is cut since ", why, StringComparison.Ordinal);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_ecm_clients"]);

        // It does not come back: the client's session is over when the time is.
        await client.AssertIsGoneAsync();
        await ecm.HasClosedAsync(1, "ecm", "link_lost");
        hub.Dispose();
    }

    [Fact]
    public async Task A_hub_that_has_begun_anew_ends_what_waited_for_it()
    {
        MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.AssertEchoesAsync();
        IPEndPoint address = hub.Hub;
        await hub.KillAsync();
        hub.Dispose();
        hub = await MegaphoneProcess.StartAsync([$"Hub:Listen={address}"]);
        await client.AssertIsGoneAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection next = await TestConnection.ConnectAsync(ecm.Clients);
        await next.AssertEchoesAsync();
        hub.Dispose();
    }

    [Fact]
    public async Task An_ECM_that_is_killed_and_started_again_leaves_no_session_behind()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        _clients.AddRange(await TestConnection.ConnectManyAsync(ecm.Clients, Clients));
        foreach (TestConnection client in _clients) await client.AssertEchoesAsync();
        await ecm.KillAsync();
        ecm.Dispose();
        await hub.ReachesAsync(1, "megaphone_links_cut", "role=hub");
        await hub.HasSessionsAsync(Clients);
        ecm = await MegaphoneProcess.EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        await hub.HasSessionsAsync(0);
        await hub.HasClosedAsync(Clients, "hub", "link_lost");
        ecm.Dispose();
    }

    [Fact]
    public async Task A_network_that_loses_everything_for_a_while_costs_nothing_but_time()
    {
        await using OtherNetwork network = await OtherNetwork.CreateAsync();
        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync(
            [$"Hub:Listen={network.There}:0", "Hub:AllowOpenListener=true", $"Admin:Listen={network.There}:0"], network.Launcher);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub);
        await ecm.HasLinksAsync(1, "ecm");
        _clients.AddRange(await TestConnection.ConnectManyAsync(ecm.Clients, Clients));
        foreach (TestConnection client in _clients) await client.AssertEchoesAsync();

        await network.LoseAllAsync();
        byte[] words = Sample.Bytes(20_000);
        foreach (TestConnection client in _clients) await client.SendAsync(words);

        // By then TCP would wait for seconds before it sends again.
        await Task.Delay(TimeSpan.FromSeconds(4));
        await network.CarryAsync();
        foreach (TestConnection client in _clients) Sample.AssertSame(words, await client.ReceiveAsync(words.Length));
        Assert.Equal(1, ecm.LogLines("does not arrive, while another connection can be made"));
        await ecm.ReachesAsync(1, "megaphone_link_reconnects_total", $"server={hub.Hub}", "result=resumed");
        await ecm.ReachesAsync(0, "megaphone_link_reconnects_total", $"server={hub.Hub}", "result=fresh");
        await hub.HasSessionsAsync(Clients);
        foreach (TestConnection client in _clients) await client.AssertEchoesAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_server_that_is_gone_as_another_one_says_is_not_waited_for(bool isSaidBefore)
    {
        MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Name=a");
        using TestHub other = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To:0={hub.Hub}", $"Ecm:Link:To:1={other.Address}"]);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.AssertEchoesAsync();
        using LinkPeer witness = await other.AcceptAsync(name: "b");
        await ecm.HasLinksAsync(2, "ecm");

        // As long as its link is up, it is not gone.
        if (isSaidBefore) await witness.SendControlAsync("""{"op":"gone","name":"a"}""");
        await client.AssertEchoesAsync();
        await hub.KillAsync();
        hub.Dispose();
        if (!isSaidBefore)
        {
            await ecm.ReachesAsync(1, "megaphone_links_cut", "role=ecm");
            await client.AssertStaysSilentAsync();
            await witness.SendControlAsync("""{"op":"gone","name":"a"}""");
        }

        await client.AssertIsGoneAsync();
        await ecm.HasClosedAsync(1, "ecm", "link_lost");
        Assert.Single(ecm.Complaints("Server a is gone for good"));
    }

    [Fact]
    public async Task Two_ECMs_of_one_name_are_reported()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using MegaphoneProcess first = await MegaphoneProcess.EcmAsync(hub.Hub, "Ecm:Link:Name=edge");
        await first.HasLinksAsync(1, "ecm");
        using MegaphoneProcess second = await MegaphoneProcess.EcmAsync(hub.Hub, "Ecm:Link:Name=edge");
        await second.HasLinksAsync(1, "ecm");
        await hub.ComplainsAsync(1, "give each a name of its own (Ecm:Link:Name)");
    }

    public void Dispose()
    {
        _clients.ForEach(client => client.Dispose());
        _certificates.Dispose();
    }
}
