using System.Net;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>An ECM in front of several servers: who gets new clients, and what the end of one of them means.</summary>
public sealed class ManyServersTests : IDisposable
{
    private const string Stream = XmppClient.Header, Shutdown = XmppClient.Shutdown;

    private readonly List<IDisposable> _opened = [];

    [Fact]
    public async Task New_clients_go_to_the_server_with_the_fewest()
    {
        MegaphoneProcess[] hubs = [await HubAsync("a"), await HubAsync("b"), await HubAsync("c")];
        MegaphoneProcess ecm = await EcmAsync(hubs, "Ecm:Link:Count=2");
        await ecm.HasLinksAsync(6, "ecm");

        List<TestConnection> clients = await ConnectAsync(ecm, 30);
        foreach (MegaphoneProcess hub in hubs)
        {
            await hub.HasSessionsAsync(10);
            await ecm.ReachesAsync(2, "megaphone_link_up", $"server={hub.Hub}");
            await ecm.ReachesAsync(10, "megaphone_server_clients", $"server={hub.Hub}");
        }

        // The places of those who go are the first to be taken again.
        foreach (TestConnection client in clients[..15]) client.Dispose();
        await ecm.HasClientsAsync(15);
        await ConnectAsync(ecm, 15);
        foreach (MegaphoneProcess hub in hubs) await hub.HasSessionsAsync(10);
    }

    [Fact]
    public async Task When_a_server_dies_its_clients_are_told_and_nobody_else_notices()
    {
        MegaphoneProcess[] hubs = [await HubAsync("a"), await HubAsync("b")];
        MegaphoneProcess ecm = await EcmAsync(hubs, "Ecm:Clients:0:Framing=stanza");
        await ecm.HasLinksAsync(2, "ecm");
        List<TestConnection> clients = [];
        for (int i = 0; i < 20; i++)
        {
            TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
            clients.Add(client);
            _opened.Add(client);
            await client.AssertEchoesAsync(Stream);
        }

        // One client of each is in the middle of a stanza.
        const string Half = "<message><body>half", Rest = "</body></message>";
        foreach (TestConnection client in clients[..2]) await client.SendAsync(Half);
        await hubs[0].KillAsync();
        await ecm.HasClosedAsync(10, "ecm", "link_lost");
        int told = 0;
        for (int i = 0; i < clients.Count; i++)
        {
            string sent = i < 2 ? Rest : "<presence/>", whole = i < 2 ? Half + Rest : sent;
            await clients[i].SendAsync(sent);
            string heard = await clients[i].ReceiveTextAsync(whole.Length);
            if (heard == whole) continue;
            Assert.Equal(Shutdown, heard + Encoding.ASCII.GetString(await clients[i].ReceiveToEndAsync()));
            told++;
        }

        Assert.Equal(10, told);
        Assert.Equal((200, $"ready\nno link to {hubs[0].Hub} is up\n"), await ecm.GetAsync("/readyz"));
        await ecm.ReachesAsync(0, "megaphone_link_up", $"server={hubs[0].Hub}");
        await ecm.ReachesAsync(10, "megaphone_server_clients", $"server={hubs[1].Hub}");

        // They come back at the other one; and when theirs is there again, it gets the new ones until both have as many.
        foreach (TestConnection client in clients) client.EndSending();
        await ecm.HasClientsAsync(0);
        await ConnectAsync(ecm, 10);
        await hubs[1].HasSessionsAsync(10);
        MegaphoneProcess again = await MegaphoneProcess.StartAsync([$"Hub:Listen={hubs[0].Hub}", "Hub:Name=a"]);
        _opened.Add(again);
        await ecm.HasLinksAsync(2, "ecm");
        await ConnectAsync(ecm, 20);
        await again.HasSessionsAsync(15);
        await hubs[1].HasSessionsAsync(15);
        Assert.Single(ecm.Complaints("Server a is out"));
    }

    [Fact]
    public async Task A_server_that_drains_gets_no_new_clients()
    {
        using TestHub first = new();
        using TestHub second = new();
        MegaphoneProcess ecm = await EcmAsync([first.Address, second.Address]);
        using LinkPeer draining = await first.AcceptAsync(name: "a");
        using LinkPeer other = await second.AcceptAsync(name: "b");
        await ecm.HasLinksAsync(2, "ecm");
        await draining.SendControlAsync("""{"op":"drain","after":60}""");
        await BoundedWait.UntilAsync(
            async () => (await ecm.GetAsync("/readyz")).Body == $"ready\nevery link to {first.Address} is draining\n", () => "the drain");
        for (int i = 0; i < 5; i++)
        {
            using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
            await client.SendAsync($"{i}");
            Assert.Equal($"{i}", (await other.ReceiveAsync()).Text);
            client.Abort();
            Assert.Equal("reset", (await other.ReceiveControlAsync()).GetProperty("op").GetString());
        }

        await draining.AssertStaysSilentAsync();
    }

    [Fact]
    public async Task Servers_of_one_name_are_one_server_and_the_log_says_so()
    {
        MegaphoneProcess[] hubs = [await HubAsync("same"), await HubAsync("same")];
        MegaphoneProcess ecm = await EcmAsync(hubs);
        await ecm.ComplainsAsync(1, "if these are two servers, give each a name of its own (Hub:Name)");
        await ecm.HasLinksAsync(1, "ecm");
        await ConnectAsync(ecm, 10);
        Assert.Equal((200, "ready\n"), await ecm.GetAsync("/readyz"));

        // The one that is left takes over when the other one is gone.
        int used = (await hubs[0].MetricsAsync())["megaphone_hub_sessions"] > 0 ? 0 : 1;
        await hubs[used].KillAsync();
        await ecm.ReachesAsync(1, "megaphone_link_up", $"server={hubs[1 - used].Hub}");
        await ConnectAsync(ecm, 10);
        await hubs[1 - used].HasSessionsAsync(10);
    }

    [Fact]
    public async Task Without_any_server_clients_are_refused_until_one_is_back()
    {
        MegaphoneProcess[] hubs = [await HubAsync("a"), await HubAsync("b")];
        MegaphoneProcess ecm = await EcmAsync(hubs);
        await ecm.HasLinksAsync(2, "ecm");
        foreach (MegaphoneProcess hub in hubs) await hub.KillAsync();
        await ecm.HasLinksAsync(0, "ecm");
        Assert.Equal((503, $"no link to {hubs[0].Hub} is up; no link to {hubs[1].Hub} is up\n"), await ecm.GetAsync("/readyz"));
        using (TestConnection refused = await TestConnection.ConnectAsync(ecm.Clients)) await refused.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=no_link");

        MegaphoneProcess again = await MegaphoneProcess.StartAsync([$"Hub:Listen={hubs[1].Hub}", "Hub:Name=b"]);
        _opened.Add(again);
        await ecm.HasLinksAsync(1, "ecm");
        await ConnectAsync(ecm, 5);
    }

    [Fact]
    public async Task A_hub_tries_the_next_backend_before_it_ends_a_session()
    {
        IPEndPoint nobody;
        using (TestBackend gone = new()) nobody = gone.Address;
        using TestBackend backend = new();
        MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Backend:0=tcp://{nobody}", $"Hub:Backend:1=tcp://{backend.Address}");
        _opened.Add(hub);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        for (ulong id = 1; id <= 20; id++)
        {
            await link.SendAsync(id, "hello");
            TestConnection session = await backend.AcceptAsync();
            _opened.Add(session);
            Assert.Equal("hello", await session.ReceiveTextAsync(5));
            await session.SendAsync("answer");
            Assert.Equal("answer", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(id, 6)));
        }

        await hub.ReachesAsync(0, "megaphone_backend_up", $"server={nobody}");
        await hub.ReachesAsync(20, "megaphone_backend_sessions", $"server={backend.Address}");
        Assert.Equal(0, (await hub.MetricsAsync())["megaphone_sessions_closed_total", "role=hub"]);
        Assert.Single(hub.Complaints(), line => line.Contains($"Backend {nobody} is out", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_session_that_every_backend_refuses_ends()
    {
        IPEndPoint[] nobody = new IPEndPoint[2];
        for (int i = 0; i < 2; i++)
        {
            using TestBackend gone = new();
            nobody[i] = gone.Address;
        }

        MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Backend:0=tcp://{nobody[0]}", $"Hub:Backend:1=tcp://{nobody[1]}");
        _opened.Add(hub);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "hello?");
        await link.AssertControlAsync("reset", 1);
        await hub.HasClosedAsync(1, "hub", "backend_refused");
    }

    public void Dispose() => _opened.ForEach(one => one.Dispose());

    private async Task<MegaphoneProcess> HubAsync(string name)
    {
        MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Name={name}", "Hub:ResumeTimeout=0s");
        _opened.Add(hub);
        return hub;
    }

    private Task<MegaphoneProcess> EcmAsync(MegaphoneProcess[] hubs, params string[] settings) =>
        EcmAsync([.. hubs.Select(hub => hub.Hub)], settings);

    private async Task<MegaphoneProcess> EcmAsync(IPEndPoint[] to, params string[] settings)
    {
        MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", .. to.Select((one, i) => $"Ecm:Link:To:{i}={one}"), "Ecm:Link:RetryMax=500ms", .. settings]);
        _opened.Add(ecm);
        return ecm;
    }

    /// <summary>Clients that have got an answer.</summary>
    private async Task<List<TestConnection>> ConnectAsync(MegaphoneProcess ecm, int count)
    {
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, count);
        _opened.AddRange(clients);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync(Stream);
        return clients;
    }
}
