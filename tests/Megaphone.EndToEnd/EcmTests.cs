using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>The ECM: clients on one side, links on the other.</summary>
public sealed class EcmTests
{
    [Fact]
    public async Task What_many_clients_send_is_echoed_to_each_of_them_unchanged()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        int idle = await both.IdleDescriptorsAsync();

        await Task.WhenAll(Enumerable.Range(1, 8).Select(async seed =>
        {
            using TestConnection client = await TestConnection.ConnectAsync(both.Clients);
            byte[] said = Sample.Bytes(6 << 20, seed);
            Task<byte[]> heard = client.ReceiveToEndAsync();
            Random sizes = new(seed);
            for (int sent = 0; sent < said.Length;)
            {
                int size = Math.Min(sizes.Next(1, 70_000), said.Length - sent);
                await client.SendAsync(said.AsMemory(sent, size));
                sent += size;
            }

            client.EndSending();
            Sample.AssertSame(said, await heard);
        }));

        await both.HasClientsAsync(0);
        await both.HasSessionsAsync(0);
        await both.HasClosedAsync(8, "ecm", "ended");
        await both.HasClosedAsync(8, "hub", "ended");
        await both.ReachesAsync(0, "megaphone_buffered_bytes");
        await both.DescriptorsAreBackToAsync(idle);
    }

    [Fact]
    public async Task Clients_that_read_slowly_lose_nothing()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        long before = both.Process.ResidentBytes;

        // More than the kernel's buffers hold in both directions, so that the ECM has to buffer some of it.
        Task paused = both.ReachesAtLeastAsync(1, "megaphone_pauses_total");
        await Task.WhenAll(Enumerable.Range(1, 4).Select(async seed =>
        {
            using TestConnection client = await TestConnection.ConnectAsync(both.Clients, receiveBuffer: 32 << 10);
            byte[] said = Sample.Bytes(16 << 20, seed);
            Task saying = client.SendAsync(said);
            await paused;
            using MemoryStream heard = new();
            while (heard.Length < said.Length)
            {
                heard.Write(await client.ReceiveAsync(Math.Min(256 << 10, said.Length - (int)heard.Length)));
                await Task.Delay(10);
            }

            await saying;
            Sample.AssertSame(said, heard.ToArray());
        }));

        await both.ReachesAsync(0, "megaphone_buffered_bytes");

        // A buffer takes up to twice its content, and the allocator keeps some of what was freed.
        Assert.InRange(both.Process.ResidentBytes - before, long.MinValue, 96 << 20);
    }

    [Fact]
    public async Task A_thousand_concurrent_clients_each_get_their_own_data_back()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync();
        int idle = await both.IdleDescriptorsAsync();
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(both.Clients, 1000);
        await both.HasClientsAsync(1000);

        for (int i = 0; i < clients.Count; i++) await clients[i].SendAsync($"I am number {i:D4}.");
        for (int i = 0; i < clients.Count; i++) Assert.Equal($"I am number {i:D4}.", await clients[i].ReceiveTextAsync(17));

        await both.HasSessionsAsync(1000);
        clients.ForEach(client => client.Dispose());
        await both.HasClientsAsync(0);
        await both.HasSessionsAsync(0);
        await both.DescriptorsAreBackToAsync(idle);
    }

    [Fact]
    public async Task A_session_is_opened_by_the_clients_first_byte_and_ids_are_never_reused()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection silent = await TestConnection.ConnectAsync(ecm.Clients);
        HashSet<ulong> ids = [0];

        for (int i = 0; i < 300; i++)
        {
            using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
            await client.SendAsync("x");
            client.EndSending();
            Packet first = await link.ReceiveAsync();
            Assert.Equal("x", first.Text);
            Assert.True(ids.Add(first.Id), $"Id {first.Id} was used twice.");
            await link.AssertEndAsync(first.Id);
            await link.SendEndAsync(first.Id);
            await client.AssertEndsAsync();
        }

        await ecm.HasClientsAsync(1);
        Assert.Equal(300, (await ecm.MetricsAsync())["megaphone_sessions_opened_total", "role=ecm"]);
    }

    [Fact]
    public async Task The_ECM_sends_hello_first_with_its_configured_values()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            hub.Address, "Ecm:Link:Name=edge-3", "Ecm:Link:Secret=open sesame", "Ecm:MaxPacketBytes=200000");
        using LinkPeer link = await hub.AcceptPlainAsync();

        JsonElement hello = await link.ReceiveControlAsync();

        Assert.Equal("hello", hello.GetProperty("op").GetString());
        Assert.Equal(1, hello.GetProperty("version").GetInt32());
        Assert.Equal("edge-3", hello.GetProperty("name").GetString());
        Assert.Equal("open sesame", hello.GetProperty("secret").GetString());
        Assert.Equal("bytes", hello.GetProperty("framing").GetString());
        Assert.Equal(200_000, hello.GetProperty("maxPacket").GetInt32());
    }

    [Theory]
    [InlineData("[::1]:0", "[::1]")]
    [InlineData("127.0.0.1:0", "localhost")]
    public async Task A_link_goes_to_names_and_to_IPv6_addresses(string listen, string host)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync([$"Hub:Listen={listen}"]);
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={host}:{hub.Hub.Port}"]);
        await ecm.HasLinksAsync(1, "ecm");

        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.AssertEchoesAsync();
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Listeners_on_the_IPv6_wildcard_accept_links_and_clients_over_IPv4_too(string over)
    {
        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync(["Hub:Listen=[::]:0", "Hub:AllowOpenListener=true"]);
        IPEndPoint hubAddress = new(IPAddress.Parse(over), hub.Hub.Port);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hubAddress, "Ecm:Clients:0:Listen=[::]:0");
        await ecm.HasLinksAsync(1, "ecm");

        using TestConnection client = await TestConnection.ConnectAsync(new IPEndPoint(hubAddress.Address, ecm.Clients.Port));
        await client.AssertEchoesAsync();
    }

    [Fact]
    public async Task A_refused_link_is_not_up_and_is_retried()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using (LinkPeer refused = await hub.AcceptPlainAsync())
        {
            await refused.ReceiveControlAsync();
            await refused.SendControlAsync("""{"op":"refuse","reason":"not today"}""");
        }

        using LinkPeer link = await hub.AcceptAsync();

        await ecm.HasLinksAsync(1, "ecm");
        await BoundedWait.UntilAsync(() => ecm.LogLines("not today") == 1, "the reason, once, in the log");
    }

    [Theory]
    [InlineData("v1", "127.0.0.1:0", "127.0.0.9")]
    [InlineData("v2", "127.0.0.1:0", "127.0.0.9")]
    [InlineData("v1", "[::1]:0", "::1")]
    [InlineData("v2", "[::1]:0", "::1")]
    public async Task The_backend_gets_the_clients_address_before_anything_else(string proxy, string listen, string from)
    {
        using TestBackend backend = new();
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            backend.Setting, $"Ecm:Proxy={proxy}", $"Ecm:Clients:0:Listen={listen}");
        using TestConnection client = await TestConnection.ConnectAsync(both.Clients, IPAddress.Parse(from));
        // Before the client has sent anything.
        using TestConnection session = await backend.AcceptAsync();
        byte[] expected = ProxyHeader(proxy, client.Local, both.Clients);

        Assert.Equal(expected, await session.ReceiveAsync(expected.Length));
        await client.SendAsync("my own words");
        Assert.Equal("my own words", await session.ReceiveTextAsync(12));
        await session.SendAsync("yours");
        Assert.Equal("yours", await client.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task While_no_link_is_up_clients_are_refused_at_once_and_served_once_one_is_up()
    {
        TestHub later = new();
        IPEndPoint address = later.Address;
        later.Dispose();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(address);
        int idle = await ecm.IdleDescriptorsAsync();

        for (int i = 0; i < 3; i++)
        {
            using TestConnection early = await TestConnection.ConnectAsync(ecm.Clients);
            await early.AssertIsGoneAsync();
        }

        await ecm.ReachesAsync(3, "megaphone_refused_total", "role=ecm", "reason=no_link");
        Assert.Equal(503, (await ecm.GetAsync("/readyz")).Status);
        Assert.Equal(200, (await ecm.GetAsync("/healthz")).Status);
        await ecm.DescriptorsAreBackToAsync(idle);

        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync([$"Hub:Listen={address}"]);
        await ecm.HasLinksAsync(1, "ecm");
        Assert.Equal(200, (await ecm.GetAsync("/readyz")).Status);
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.AssertEchoesAsync();
    }

    [Fact]
    public async Task When_a_link_is_lost_its_clients_are_disconnected_no_faster_than_CloseRate()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Ecm:CloseRate=20");
        int idle = await ecm.IdleDescriptorsAsync();
        LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, 60);
        foreach (TestConnection client in clients)
        {
            await client.SendAsync("x");
            await link.ReceiveAsync();
        }

        long began = Environment.TickCount64;
        link.Dispose();
        await Task.WhenAll(clients.Select(client => client.AssertIsGoneAsync()));

        // Sixty at twenty per second; the first of them may go at once, and in small batches.
        Assert.InRange(Environment.TickCount64 - began, 1500, 20_000);
        await ecm.HasClosedAsync(60, "ecm", "link_lost");
        await ecm.HasClientsAsync(0);

        using LinkPeer next = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection newcomer = await TestConnection.ConnectAsync(ecm.Clients);
        await newcomer.SendAsync("again");
        Assert.Equal("again", (await next.ReceiveAsync()).Text);
        newcomer.Dispose();
        next.Dispose();
        await ecm.HasClientsAsync(0);
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task Sessions_are_spread_over_the_links_and_losing_one_ends_its_own_only()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Ecm:Link:Count=2");
        LinkPeer[] links = [await hub.AcceptAsync(), await hub.AcceptAsync()];
        await ecm.HasLinksAsync(2, "ecm");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, 40);

        // Each client sends its number; each link echoes what it receives, until all is sent.
        Dictionary<int, int> linkOf = [];
        Task[] serving = [.. links.Select((link, which) => Task.Run(async () =>
        {
            try
            {
                while (true)
                {
                    Packet packet = await link.ReceiveAsync();
                    lock (linkOf) linkOf[int.Parse(packet.Text, CultureInfo.InvariantCulture)] = which;
                    await link.SendAsync(packet.Id, packet.Content);
                }
            }
            catch (Exception end) when (end is IOException or ObjectDisposedException or SocketException)
            {
                // The test has ended the link.
            }
        }))];
        for (int i = 0; i < clients.Count; i++) await clients[i].AssertEchoesAsync(i.ToString("D2", CultureInfo.InvariantCulture));
        int[] shares = [linkOf.Values.Count(which => which == 0), linkOf.Values.Count(which => which == 1)];
        Assert.All(shares, share => Assert.InRange(share, 10, 30));

        links[0].Abort();

        await ecm.HasClosedAsync(shares[0], "ecm", "link_lost");
        for (int i = 0; i < clients.Count; i++)
        {
            if (linkOf[i] == 0) await clients[i].AssertIsGoneAsync();
            else await clients[i].AssertEchoesAsync(i.ToString("D2", CultureInfo.InvariantCulture));
        }

        links[1].Dispose();
        await Task.WhenAll(serving);
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task A_link_that_drains_gets_no_new_sessions()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection before = await TestConnection.ConnectAsync(ecm.Clients);
        await before.SendAsync("before");
        Assert.Equal("before", (await link.ReceiveAsync()).Text);

        await link.SendControlAsync("""{"op":"drain","after":30}""");
        await link.SendControlAsync("""{"op":"ping","token":1}""");
        await link.ReceiveControlAsync();

        using TestConnection after = await TestConnection.ConnectAsync(ecm.Clients);
        await after.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=no_link");
        await before.SendAsync(", and after");
        Assert.Equal(", and after", (await link.ReceiveAsync()).Text);
    }

    [Fact]
    public async Task Clients_above_MaxClients_are_refused_and_counted()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:MaxClients=3");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(both.Clients, 3);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync();

        using (TestConnection fourth = await TestConnection.ConnectAsync(both.Clients)) await fourth.AssertIsGoneAsync();

        await both.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=too_many");
        foreach (TestConnection client in clients) await client.AssertEchoesAsync();
        clients[0].Dispose();
        await both.HasClientsAsync(2);
        using TestConnection another = await TestConnection.ConnectAsync(both.Clients);
        await another.AssertEchoesAsync();
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task When_descriptors_run_out_new_clients_are_refused_and_the_others_are_served()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync();
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={hub.Hub}"], launcher: ["prlimit", "--nofile=300:300"]);
        await ecm.HasLinksAsync(1, "ecm");
        int idle = await ecm.IdleDescriptorsAsync();

        List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, 400);
        List<TestConnection> served = [];
        foreach (TestConnection client in clients)
        {
            try
            {
                await client.AssertEchoesAsync();
                served.Add(client);
            }
            catch (Exception turnedAway) when (turnedAway is SocketException or EndOfStreamException)
            {
                client.Dispose();
            }
        }

        Assert.InRange(served.Count, 50, 300 - 129);
        foreach (TestConnection client in served) await client.AssertEchoesAsync();
        await ecm.ReachesAsync(400 - served.Count, "megaphone_refused_total", "role=ecm", "reason=descriptors");
        // The log has one line for all of them.
        await BoundedWait.UntilAsync(() => ecm.Complaints("without a descriptor").Count > 0, "a line in the log");
        Assert.InRange(ecm.Complaints().Count, 1, 4);
        served.Take(20).ToList().ForEach(client => client.Dispose());
        await ecm.HasClientsAsync(served.Count - 20);
        using (TestConnection newcomer = await TestConnection.ConnectAsync(ecm.Clients)) await newcomer.AssertEchoesAsync();
        served.ForEach(client => client.Dispose());
        await ecm.HasClientsAsync(0);
        await ecm.DescriptorsAreBackToAsync(idle);
    }

    [Fact]
    public async Task A_link_lost_while_there_is_no_descriptor_is_reconnected_when_there_is_one()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");

        await LimitDescriptorsAsync(ecm, 10);
        link.Dispose();
        await ecm.ComplainsAsync(1, "Too many open files");
        await LimitDescriptorsAsync(ecm, 1000);

        using LinkPeer next = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.SendAsync("again");
        Assert.Equal("again", (await next.ReceiveAsync()).Text);
        await ecm.StopAsync();
    }

    [Fact]
    public async Task A_host_name_that_cannot_be_looked_up_is_told_once_and_harms_nothing()
    {
        string name = new('x', 300);
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={name}:6280"]);

        await ecm.ComplainsAsync(1, "cannot be looked up");
        Assert.Equal((503, $"no link to {name}:6280 is up\n"), await ecm.GetAsync("/readyz"));

        // It is looked up again after one second, and after two more.
        await Task.Delay(TimeSpan.FromSeconds(3.5));
        Assert.Single(ecm.Complaints());
        await ecm.StopAsync();
    }

    [Fact]
    public async Task A_link_that_is_accepted_and_closed_at_once_is_retried_with_back_off()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To={hub.Address}", "Ecm:Link:Control=false"]);

        // Without control it is up before anything has been sent. Six delays, doubled from 200 ms on and randomly reduced to not
        // less than half, take 6.3 s at least; without back-off it would be about a second.
        long began = Environment.TickCount64;
        for (int attempt = 1; attempt <= 7; attempt++) (await hub.AcceptPlainAsync()).Dispose();

        Assert.InRange(Environment.TickCount64 - began, 6_000, 30_000);
        Assert.InRange(ecm.Process.Output.Count, 1, 25);
        Assert.InRange(ecm.Complaints().Count, 1, 2);
    }

    [Fact]
    public async Task A_slow_client_makes_the_ECM_send_pause_and_later_resume_and_no_byte_is_lost()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection slow, ulong slowId) = await OpenAsync(ecm, link, receiveBuffer: 16 << 10);
        (TestConnection fast, ulong fastId) = await OpenAsync(ecm, link);
        using TestConnection slowClient = slow, fastClient = fast;

        await SlowReader.AssertPausesAsync(ecm, "ecm", link, (slow, slowId), (fast, fastId));
    }

    [Theory]
    [InlineData(1_000_000)]
    [InlineData(16 << 20)]
    public async Task Data_above_the_hard_limit_despite_a_pause_resets_that_client_only(int limit)
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, $"Ecm:Buffers:LimitBytes={limit}");
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection slow, ulong slowId) = await OpenAsync(ecm, link, receiveBuffer: 16 << 10);
        (TestConnection fast, ulong fastId) = await OpenAsync(ecm, link);
        using TestConnection slowClient = slow, fastClient = fast;
        long before = ecm.Process.ResidentBytes;

        for (int sent = 0; sent < 64 << 20; sent += 16 << 10) await link.SendAsync(slowId, Sample.Bytes(16 << 10));

        await link.AssertControlAsync("pause", slowId);
        await link.AssertControlAsync("reset", slowId);
        await ecm.HasClosedAsync(1, "ecm", "buffer_limit");
        await slow.AssertIsResetAsync();
        await ecm.ReachesAsync(0, "megaphone_buffered_bytes", "role=ecm");
        // A buffer that grows to its limit passes through a few sizes.
        Assert.InRange(ecm.Process.ResidentBytes - before, long.MinValue, 64 << 20);
        await link.SendAsync(fastId, "not held up");
        Assert.Equal("not held up", await fast.ReceiveTextAsync(11));
    }

    [Fact]
    public async Task A_pause_stops_the_client_it_names_until_resume_and_nothing_is_lost()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection paused, ulong pausedId) = await OpenAsync(ecm, link);
        (TestConnection other, ulong otherId) = await OpenAsync(ecm, link);
        using TestConnection pausedClient = paused, otherClient = other;
        await link.SendControlAsync($$"""{"op":"pause","id":"{{pausedId}}"}""");
        await link.SendControlAsync("""{"op":"ping","token":1}""");
        await link.ReceiveControlAsync();
        long before = ecm.Process.ResidentBytes;
        byte[] much = Sample.Bytes(32 << 20);

        Task sending = paused.SendAsync(much);
        await link.AssertStaysSilentAsync();
        Assert.False(sending.IsCompleted, "32 MiB went somewhere, though nobody may read them.");
        Assert.InRange(ecm.Process.ResidentBytes - before, long.MinValue, 16 << 20);
        await other.SendAsync("not paused");
        Assert.Equal("not paused", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(otherId, 10)));

        await link.SendControlAsync($$"""{"op":"resume","id":"{{pausedId}}"}""");

        Sample.AssertSame(much, await link.ReceiveBytesAsync(pausedId, much.Length));
        await sending;
    }

    [Fact]
    public async Task After_the_client_has_ended_the_server_may_still_answer()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);
        using TestConnection _ = client;

        client.EndSending();
        await link.AssertEndAsync(id);
        await link.SendAsync(id, "answer");
        await link.SendEndAsync(id);

        Assert.Equal("answer", Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
        await ecm.HasClosedAsync(1, "ecm", "ended");
        await ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task After_the_server_has_ended_the_client_may_still_send()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);
        using TestConnection _ = client;

        await link.SendAsync(id, "goodbye");
        await link.SendEndAsync(id);
        Assert.Equal("goodbye", Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
        await client.SendAsync("one thing more");
        Assert.Equal("one thing more", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(id, 14)));
        client.EndSending();

        await link.AssertEndAsync(id);
        await ecm.HasClosedAsync(1, "ecm", "ended");
    }

    [Fact]
    public async Task A_client_that_ended_one_direction_is_kept_until_the_half_open_timeout()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Ecm:HalfOpenTimeout=00:00:01");
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);
        using TestConnection _ = client;

        client.EndSending();
        await link.AssertEndAsync(id);

        await link.AssertControlAsync("reset", id);
        await client.AssertIsResetAsync();
        await ecm.HasClosedAsync(1, "ecm", "half_open_timeout");
    }

    [Fact]
    public async Task A_client_that_resets_its_connection_resets_its_session()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);

        client.Abort();

        await link.AssertControlAsync("reset", id);
        await ecm.HasClosedAsync(1, "ecm", "socket_error");
        await ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task A_reset_from_the_hub_aborts_the_client_it_names()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);
        (TestConnection other, ulong otherId) = await OpenAsync(ecm, link);
        using TestConnection clientToo = client, otherToo = other;

        await link.SendControlAsync($$"""{"op":"reset","id":"{{id}}","reason":"because"}""");

        await client.AssertIsResetAsync();
        await ecm.HasClosedAsync(1, "ecm", "reset_by_peer");
        await link.SendAsync(otherId, "still here");
        Assert.Equal("still here", await other.ReceiveTextAsync(10));
        await link.SendAsync(id, "left in flight");
        await ecm.ReachesAsync(1, "megaphone_dropped_packets_total", "role=ecm", "reason=session_over");
    }

    [Fact]
    public async Task Packets_for_ids_that_were_never_opened_are_dropped_and_counted()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);
        using TestConnection _ = client;

        foreach (ulong unknown in new[] { id + 1, id ^ (1UL << 40), id ^ (1UL << 63), 1UL << 50, ulong.MaxValue })
        {
            await link.SendAsync(unknown, "for nobody");
            await link.SendEndAsync(unknown);
        }

        await ecm.ReachesAsync(10, "megaphone_dropped_packets_total", "role=ecm", "reason=session_over");
        await link.SendAsync(id, "for you");
        Assert.Equal("for you", await client.ReceiveTextAsync(7));
    }

    [Theory]
    [InlineData("0000000031|00000000000000000007|")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    public async Task A_hub_that_sends_a_malformed_header_loses_the_link_with_one_log_line(string header)
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong _) = await OpenAsync(ecm, link);
        using TestConnection clientToo = client;

        await link.SendRawAsync(Encoding.ASCII.GetBytes(header));

        await link.AssertClosesAsync();
        await ecm.ReachesAsync(1, "megaphone_protocol_errors_total", "role=ecm");
        await client.AssertIsGoneAsync();
        using LinkPeer next = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        await ecm.ComplainsAsync(1, "offset");
    }

    [Fact]
    public async Task A_hub_that_answers_no_ping_for_three_KeepAlive_is_dead_and_is_reconnected()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Service:KeepAlive=00:00:01");
        using LinkPeer link = await hub.AcceptAsync(keepAlive: 1);
        link.AnswersPings = false;
        await ecm.HasLinksAsync(1, "ecm");

        Packet ping = await link.ReceiveAsync();
        Assert.Equal("ping", ping.Json.GetProperty("op").GetString());

        using LinkPeer next = await hub.AcceptAsync(keepAlive: 1);
        await ecm.HasLinksAsync(1, "ecm");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(33)]
    public async Task A_server_that_supports_only_the_original_format_is_served(int cut)
    {
        using ChildProcess server = PythonPeer.Start("plain_hub.py", "--cut", $"{cut}");
        IPEndPoint address = await server.ListeningAsync();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            address, "Ecm:Link:Control=false", "Ecm:HalfOpenTimeout=00:00:01");
        await ecm.HasLinksAsync(1, "ecm");
        int idle = await ecm.IdleDescriptorsAsync();

        await Task.WhenAll(Enumerable.Range(1, 10).Select(async seed =>
        {
            using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
            byte[] said = Sample.Bytes(3000, seed);
            foreach (byte[] piece in said.Chunk(100)) await client.SendAsync(piece);
            Sample.AssertSame(said, await client.ReceiveAsync(said.Length));
        }));

        // The server never ends a session, so that the half-open timeout has to.
        await ecm.HasClosedAsync(10, "ecm", "half_open_timeout");
        await ecm.HasClientsAsync(0);
        await ecm.DescriptorsAreBackToAsync(idle);
        await ecm.StopAsync();
        server.CloseInput();
        JsonElement report = await server.ReportAsync();
        Assert.Equal(
            (1, 10, 30_000, 0, 0),
            (report.GetProperty("links").GetInt32(), report.GetProperty("ids").GetInt32(), report.GetProperty("bytes").GetInt32(),
                report.GetProperty("control").GetInt32(), report.GetProperty("errors").GetArrayLength()));
    }

    [Fact]
    public async Task On_a_plain_link_a_clients_reset_is_sent_as_an_empty_packet()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Ecm:Link:Control=false");
        using LinkPeer link = await hub.AcceptPlainAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);

        client.Abort();

        await link.AssertEndAsync(id);
        await ecm.HasClosedAsync(1, "ecm", "socket_error");
    }

    [Fact]
    public async Task SIGTERM_passes_on_what_clients_have_sent_before_the_link_ends()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Ecm:Link:Control=false");
        using LinkPeer link = await hub.AcceptPlainAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link);
        using TestConnection _ = client;
        byte[] much = Sample.Bytes(2 << 20);
        await client.SendAsync(much);

        // Until the ring holds what the sockets do not take. Were it too short, all of it would have to arrive all the same.
        await Task.Delay(BoundedWait.Watch);
        ecm.Process.Signal(Signals.Terminate);

        Sample.AssertSame(much, await link.ReceiveBytesAsync(id, much.Length));
        link.Dispose();
        Assert.Equal(0, await ecm.Process.EndAsync());
        await client.AssertIsGoneAsync();
    }

    [Fact]
    public async Task SIGTERM_waits_for_a_slow_client_to_read_what_was_queued_for_it()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, "Ecm:Link:Control=false");
        using LinkPeer link = await hub.AcceptPlainAsync();
        await ecm.HasLinksAsync(1, "ecm");
        (TestConnection client, ulong id) = await OpenAsync(ecm, link, receiveBuffer: 16 << 10);
        using TestConnection _ = client;
        byte[] much = Sample.Bytes(400_000);
        foreach (byte[] piece in much.Chunk(20_000)) await link.SendAsync(id, piece);
        await ecm.ReachesAsync(20, "megaphone_link_packets_total", "role=ecm", "direction=in");

        ecm.Process.Signal(Signals.Terminate);

        // An ECM that did not wait for its slow clients would have gone by then, and the rest with it.
        await Task.Delay(BoundedWait.Watch);
        Sample.AssertSame(much, await client.ReceiveAsync(much.Length));
        link.Dispose();
        Assert.Equal(0, await ecm.Process.EndAsync());
    }

    /// <summary>From now on a process may open this many descriptors; those that it has stay.</summary>
    private static async Task LimitDescriptorsAsync(MegaphoneProcess process, int limit)
    {
        using ChildProcess prlimit = ChildProcess.Start(["prlimit", $"--pid={process.Process.Id}", $"--nofile={limit}:"]);
        Assert.Equal(0, await prlimit.EndAsync());
    }

    /// <summary>Connects a client whose first byte has opened a session.</summary>
    private static async Task<(TestConnection Client, ulong Id)> OpenAsync(MegaphoneProcess ecm, LinkPeer link, int? receiveBuffer = null)
    {
        TestConnection client = await TestConnection.ConnectAsync(ecm.Clients, receiveBuffer: receiveBuffer);
        await client.SendAsync("x");
        Packet first = await link.ReceiveAsync();
        Assert.Equal("x", first.Text);
        return (client, first.Id);
    }

    /// <summary>The header as HAProxy's proxy-protocol.txt defines it, for TCP from one address to another.</summary>
    private static byte[] ProxyHeader(string version, IPEndPoint from, IPEndPoint to)
    {
        bool six = from.AddressFamily == AddressFamily.InterNetworkV6;
        if (version == "v1")
            return Encoding.ASCII.GetBytes($"PROXY TCP{(six ? 6 : 4)} {from.Address} {to.Address} {from.Port} {to.Port}\r\n");

        byte[] addresses = [.. from.Address.GetAddressBytes(), .. to.Address.GetAddressBytes(), .. BigEndian(from.Port), .. BigEndian(to.Port)];
        return [.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, (byte)(six ? 0x21 : 0x11), 0, (byte)addresses.Length, .. addresses];
    }

    private static byte[] BigEndian(int port) => [(byte)(port >> 8), (byte)port];
}
