using System.Net;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>The hub and the connections that it makes for sessions.</summary>
public sealed class HubBackendTests
{
    [Fact]
    public async Task Each_session_has_a_connection_of_its_own()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendAsync(1, "one");
        using TestConnection first = await backend.AcceptAsync();
        await link.SendAsync(2, "two");
        using TestConnection second = await backend.AcceptAsync();

        Assert.Equal("one", await first.ReceiveTextAsync(3));
        Assert.Equal("two", await second.ReceiveTextAsync(3));
        await second.SendAsync("for two");
        Assert.Equal("for two", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(2, 7)));
        await first.SendAsync("for one");
        Assert.Equal("for one", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(1, 7)));
    }

    [Fact]
    public async Task A_backends_name_is_resolved()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Backend=tcp://localhost:{backend.Address.Port}");
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendAsync(1, "one");

        using TestConnection session = await backend.AcceptAsync();
        Assert.Equal("one", await session.ReceiveTextAsync(3));
    }

    [Fact]
    public async Task After_the_client_has_ended_the_backend_may_still_answer()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.SendAsync(1, "question");
        await link.SendEndAsync(1);
        using TestConnection session = await backend.AcceptAsync();
        Assert.Equal("question", Encoding.ASCII.GetString(await session.ReceiveToEndAsync()));

        await session.SendAsync("answer");
        session.EndSending();

        Assert.Equal("answer", Encoding.ASCII.GetString(await link.ReceiveToEndAsync(1)));
        await hub.HasClosedAsync(1, "hub", "ended");
    }

    [Fact]
    public async Task After_the_backend_has_ended_the_client_may_still_send()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        int idle = await hub.IdleDescriptorsAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.SendAsync(1, "hello");
        using TestConnection session = await backend.AcceptAsync();

        await session.SendAsync("goodbye");
        session.EndSending();
        Assert.Equal("goodbye", Encoding.ASCII.GetString(await link.ReceiveToEndAsync(1)));
        await link.SendAsync(1, ", and one thing more");
        await link.SendEndAsync(1);

        Assert.Equal("hello, and one thing more", Encoding.ASCII.GetString(await session.ReceiveToEndAsync()));
        await hub.HasClosedAsync(1, "hub", "ended");
        link.Dispose();
        await hub.DescriptorsAreBackToAsync(idle);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_session_that_ended_on_one_side_only_is_kept_until_the_half_open_timeout(bool clientEnds)
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting, "Hub:HalfOpenTimeout=00:00:01");
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "hello");
        using TestConnection session = await backend.AcceptAsync();
        await link.SendAsync(2, "bystander");
        using TestConnection bystander = await backend.AcceptAsync();

        if (clientEnds)
        {
            await link.SendEndAsync(1);
        }
        else
        {
            session.EndSending();
            await link.AssertEndAsync(1);
        }

        await link.AssertControlAsync("reset", 1);
        await session.AssertIsGoneAsync();
        await hub.HasClosedAsync(1, "hub", "half_open_timeout");
        await bystander.SendAsync("still here");
        Assert.Equal("still here", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(2, 10)));
    }

    [Fact]
    public async Task A_session_without_traffic_ends_at_the_idle_timeout()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting, "Hub:IdleTimeout=00:00:02");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.SendAsync(1, "silent from now on");
        using TestConnection silent = await backend.AcceptAsync();
        await link.SendAsync(2, "talking");
        using TestConnection talking = await backend.AcceptAsync();

        // The link is plain, so the end of an aborted session is sent as an empty packet.
        Task ended = link.AssertEndAsync(1);
        while (!ended.IsCompleted)
        {
            await link.SendAsync(2, ".");
            await Task.Delay(200);
        }

        await ended;
        await silent.AssertIsGoneAsync();
        await hub.HasClosedAsync(1, "hub", "idle_timeout");
        await hub.HasSessionsAsync(1);
    }

    [Fact]
    public async Task A_backend_that_refuses_ends_that_session_only()
    {
        IPEndPoint nobody;
        using (TestBackend backend = new()) nobody = backend.Address;
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Backend=tcp://{nobody}");
        int idle = await hub.IdleDescriptorsAsync();
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        using LinkPeer plain = await LinkPeer.PlainEcmAsync(hub);

        await link.SendAsync(1, "hello?");
        await link.AssertControlAsync("reset", 1);
        await plain.SendAsync(1, "hello?");
        await plain.AssertEndAsync(1);

        await hub.HasClosedAsync(2, "hub", "backend_refused");
        await AssertStillAsksAsync(link);
        link.Dispose();
        plain.Dispose();
        await hub.DescriptorsAreBackToAsync(idle);
    }

    [Fact]
    public async Task A_backend_whose_name_does_not_exist_ends_that_session_only()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:Backend=tcp://no-such-host.invalid:5222");
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendAsync(1, "hello?");

        await link.AssertControlAsync("reset", 1);
        await hub.HasClosedAsync(1, "hub", "backend_unresolved");
        await AssertStillAsksAsync(link);
    }

    [Fact]
    public async Task A_backend_that_never_accepts_ends_the_session_after_the_connect_timeout()
    {
        using TestBackend backend = new(backlog: 0);
        using FullBacklog full = await FullBacklog.OfAsync(backend);
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting, "Hub:ConnectTimeout=00:00:01");
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        await link.SendAsync(1, "hello?");

        await link.AssertControlAsync("reset", 1);
        await hub.HasClosedAsync(1, "hub", "backend_timeout");
        await AssertStillAsksAsync(link);
    }

    [Fact]
    public async Task Data_that_arrives_while_the_backend_is_being_connected_is_kept()
    {
        using TestBackend backend = new(backlog: 0);
        FullBacklog full = await FullBacklog.OfAsync(backend);
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting, "Hub:ConnectTimeout=00:00:20");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        byte[] early = Sample.Bytes(50_000);

        foreach (byte[] piece in early.Chunk(5000)) await link.SendAsync(1, piece);
        await link.SendEndAsync(1);

        // A hub that lost what comes before the connection is there would have read, and lost, it by then.
        await Task.Delay(BoundedWait.Watch);
        await full.MakeRoomAsync();

        using TestConnection session = await backend.AcceptAsync();
        Sample.AssertSame(early, await session.ReceiveToEndAsync());
    }

    [Fact]
    public async Task A_backend_that_disconnects_ends_that_session_only()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "hello");
        using TestConnection session = await backend.AcceptAsync();
        await link.SendAsync(2, "bystander");
        using TestConnection bystander = await backend.AcceptAsync();
        Assert.Equal("hello", await session.ReceiveTextAsync(5));

        session.Abort();

        await link.AssertControlAsync("reset", 1);
        await hub.HasClosedAsync(1, "hub", "socket_error");
        await bystander.SendAsync("still here");
        Assert.Equal("still here", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(2, 10)));
    }

    [Fact]
    public async Task A_reset_aborts_the_backends_connection()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "hello");
        using TestConnection session = await backend.AcceptAsync();
        Assert.Equal("hello", await session.ReceiveTextAsync(5));

        await link.SendControlAsync("""{"op":"reset","id":"1","reason":"because"}""");

        await session.AssertIsResetAsync();
        await hub.HasClosedAsync(1, "hub", "reset_by_peer");
        await link.SendAsync(1, "left in flight");
        await hub.ReachesAsync(1, "megaphone_dropped_packets_total", "role=hub", "reason=session_over");
    }

    [Fact]
    public async Task A_paused_session_is_silent_until_it_is_resumed_and_loses_nothing()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "go");
        using TestConnection session = await backend.AcceptAsync();
        await link.SendAsync(2, "go");
        using TestConnection other = await backend.AcceptAsync();
        await link.SendControlAsync("""{"op":"pause","id":"1"}""");
        // Answered in the order in which they were sent: after this the pause has been seen.
        await link.SendControlAsync("""{"op":"ping","token":1}""");
        await link.ReceiveControlAsync();

        byte[] much = Sample.Bytes(8 << 20);
        Task sending = session.SendAsync(much);
        await link.AssertStaysSilentAsync();
        await other.SendAsync("not paused");
        Assert.Equal("not paused", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(2, 10)));

        await link.SendControlAsync("""{"op":"resume","id":"1"}""");

        Sample.AssertSame(much, await link.ReceiveBytesAsync(1, much.Length));
        await sending;
    }

    [Fact]
    public async Task A_slow_backend_makes_the_hub_send_pause_and_later_resume_and_no_byte_is_lost()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "slow");
        using TestConnection slow = await backend.AcceptAsync(receiveBuffer: 16 << 10);
        await link.SendAsync(2, "fast");
        using TestConnection fast = await backend.AcceptAsync();
        Assert.Equal("slow", await slow.ReceiveTextAsync(4));
        Assert.Equal("fast", await fast.ReceiveTextAsync(4));

        await SlowReader.AssertPausesAsync(hub, "hub", link, (slow, 1), (fast, 2));
        await hub.HasSessionsAsync(2);
    }

    [Fact]
    public async Task On_a_plain_link_a_slow_backend_fills_a_bounded_buffer_and_then_its_session_ends()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting, "Hub:Buffers:LimitBytes=500000");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        await link.SendAsync(1, "slow");
        using TestConnection slow = await backend.AcceptAsync(receiveBuffer: 16 << 10);
        await link.SendAsync(2, "fast");
        using TestConnection fast = await backend.AcceptAsync();
        long before = hub.Process.ResidentBytes;

        Task ended = link.AssertEndAsync(1);
        for (int sent = 0; sent < 64 << 20; sent += 16 << 10) await link.SendAsync(1, Sample.Bytes(16 << 10));

        await ended;
        await hub.HasClosedAsync(1, "hub", "buffer_limit");
        await hub.ReachesAsync(0, "megaphone_buffered_bytes", "role=hub");
        Assert.InRange(hub.Process.ResidentBytes - before, long.MinValue, 32 << 20);
        await link.SendAsync(2, ", still");
        Assert.Equal("fast, still", await fast.ReceiveTextAsync(11));
    }

    [Fact]
    public async Task A_link_that_is_not_read_stops_its_backends_instead_of_filling_memory()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer other = await LinkPeer.PlainEcmAsync(hub);
        await other.SendAsync(1, "other");
        using TestConnection bystander = await backend.AcceptAsync();
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub, receiveBuffer: 64 << 10);
        await link.SendAsync(1, "go");
        using TestConnection session = await backend.AcceptAsync();
        long before = hub.Process.ResidentBytes;
        byte[] much = Sample.Bytes(64 << 20);

        Task sending = session.SendAsync(much);
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.False(sending.IsCompleted, "64 MiB went somewhere, though nobody reads them.");
        Assert.InRange(hub.Process.ResidentBytes - before, long.MinValue, 24 << 20);
        await bystander.SendAsync("not held up");
        Assert.Equal("not held up", Encoding.ASCII.GetString(await other.ReceiveBytesAsync(1, 11)));

        Sample.AssertSame(much, await link.ReceiveBytesAsync(1, much.Length));
        await sending;
    }

    [Fact]
    public async Task Large_data_passes_both_ways_at_once_unchanged()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "go");
        using TestConnection session = await backend.AcceptAsync();
        Assert.Equal("go", await session.ReceiveTextAsync(2));
        byte[] up = Sample.Bytes(16 << 20, seed: 2), down = Sample.Bytes(16 << 20, seed: 3);

        Task<byte[]> upThere = session.ReceiveAsync(up.Length);
        Task sending = session.SendAsync(down);
        // What the hub sends contains pauses for what this end sends.
        using MemoryStream downHere = new();
        bool paused = false;
        Task hearing = Task.Run(async () =>
        {
            while (downHere.Length < down.Length)
            {
                Packet packet = await link.ReceiveAsync();
                if (packet.Id == 0) Volatile.Write(ref paused, packet.Json.GetProperty("op").GetString() == "pause");
                else downHere.Write(packet.Content);
            }

            // There may be a resume behind the last byte.
            while (Volatile.Read(ref paused))
            {
                await link.AssertControlAsync("resume", 1)
                    .ContinueWith(_ => Volatile.Write(ref paused, false), TaskScheduler.Default);
            }
        });
        Random sizes = new(4);
        for (int sent = 0; sent < up.Length;)
        {
            if (Volatile.Read(ref paused)) await BoundedWait.UntilAsync(() => !Volatile.Read(ref paused), "resume");
            int size = Math.Min(sizes.Next(1, 100_000), up.Length - sent);
            await link.SendAsync(1, up.AsMemory(sent, size));
            sent += size;
        }

        Sample.AssertSame(up, await upThere);
        await hearing;
        Sample.AssertSame(down, downHere.ToArray());
        await sending;
    }

    [Fact]
    public async Task SIGTERM_drains_the_ECMs_link_and_what_was_queued_still_arrives()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.SendAsync(1, "go");
        using TestConnection session = await backend.AcceptAsync();
        Assert.Equal("go", await session.ReceiveTextAsync(2));
        // More than a link's socket buffers hold: some of it is queued in the hub at the signal.
        byte[] much = Sample.Bytes(2 << 20);
        await session.SendAsync(much);
        using MemoryStream arrived = new();
        arrived.Write((await link.ReceiveAsync()).Content);

        // Until the ring holds what the sockets do not take. Were it too short, all of it would have to arrive all the same.
        await Task.Delay(BoundedWait.Watch);
        hub.Process.Signal(Signals.Terminate);

        bool drained = false;
        while (arrived.Length < much.Length || !drained)
        {
            Packet packet = await link.ReceiveAsync();
            if (packet.Id == 0 && packet.Json.GetProperty("op").GetString() == "drain") drained = true;
            else arrived.Write(packet.Content);
        }

        Sample.AssertSame(much, arrived.ToArray());
        link.Dispose();
        Assert.Equal(0, await hub.Process.EndAsync());
    }

    [Fact]
    public async Task SIGTERM_waits_for_a_slow_backend_to_read_what_was_queued_for_it()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting);
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        byte[] much = Sample.Bytes(400_000);
        foreach (byte[] piece in much.Chunk(20_000)) await link.SendAsync(1, piece);
        using TestConnection slow = await backend.AcceptAsync(receiveBuffer: 16 << 10);
        await hub.ReachesAsync(20, "megaphone_link_packets_total", "role=hub", "direction=in");

        hub.Process.Signal(Signals.Terminate);

        // A hub that did not wait for its slow backends would have gone by then, and the rest with it.
        await Task.Delay(BoundedWait.Watch);
        Sample.AssertSame(much, await slow.ReceiveAsync(much.Length));
        link.Dispose();
        Assert.Equal(0, await hub.Process.EndAsync());
    }

    [Fact]
    public async Task When_the_hub_runs_out_of_descriptors_new_sessions_end_and_the_link_stays_up()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.StartAsync(
            ["Hub:Listen=127.0.0.1:0", "Hub:MaxLinks=16", backend.Setting], launcher: ["prlimit", "--nofile=300:300"]);
        using LinkPeer link = await LinkPeer.EcmAsync(hub);

        for (ulong id = 1; id <= 200; id++) await link.SendAsync(id, "x");
        await link.SendControlAsync("""{"op":"ping","token":1}""");
        int resets = 0;
        while ((await link.ReceiveControlAsync()).GetProperty("op").GetString() is "reset") resets++;
        // While sessions hold all that they may have, other links and the admin endpoint still find some.
        using (LinkPeer another = await LinkPeer.EcmAsync(hub)) await hub.HasLinksAsync(2, "hub");
        await hub.HasLinksAsync(1, "hub");

        // The first thirty found a descriptor, and leave.
        for (ulong id = 1; id <= 30; id++)
        {
            using TestConnection session = await backend.AcceptAsync();
            Assert.Equal("x", await session.ReceiveTextAsync(1));
            session.Abort();
        }

        long refused = 0;
        await BoundedWait.UntilAsync(
            async () =>
            {
                MetricsSnapshot metrics = await hub.MetricsAsync();
                refused = metrics["megaphone_sessions_closed_total", "role=hub", "reason=out_of_resources"];
                return refused + metrics["megaphone_hub_sessions"] == 170;
            },
            () => $"an end or a descriptor for each session; {refused} have found none");
        Assert.InRange(refused, 40, 100);
        for (; resets < 30 + refused; resets++)
            Assert.Equal("reset", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
        for (long open = refused; open < 170; open++) (await backend.AcceptAsync()).Dispose();
        await link.SendAsync(1000, "again");
        using TestConnection newcomer = await backend.AcceptAsync();
        Assert.Equal("again", await newcomer.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task When_all_buffers_together_are_full_the_session_that_needs_more_is_reset()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(
            backend.Setting, "Hub:Buffers:LimitBytes=1000000", "Hub:Buffers:TotalBytes=1500000");
        using LinkPeer link = await LinkPeer.PlainEcmAsync(hub);
        List<TestConnection> slow = [];
        for (ulong id = 1; id <= 3; id++)
        {
            await link.SendAsync(id, "x");
            slow.Add(await backend.AcceptAsync(receiveBuffer: 16 << 10));
        }

        // In turn, so that each of them stays well below its own limit when the three together reach theirs.
        Task<Packet> ended = link.ReceiveAsync();
        for (int sent = 0; sent < 64 << 20 && !ended.IsCompleted; sent += 3 * 10_000)
        {
            for (ulong id = 1; id <= 3; id++) await link.SendAsync(id, Sample.Bytes(10_000));
        }

        Assert.True((await ended).IsEnd);
        await hub.ReachesAtLeastAsync(1, "megaphone_sessions_closed_total", "role=hub", "reason=buffer_total");
        slow.ForEach(session => session.Dispose());
    }

    /// <summary>Asserts that the link still answers after a session on it failed.</summary>
    private static async Task AssertStillAsksAsync(LinkPeer link)
    {
        await link.SendControlAsync("""{"op":"ping","token":"still there?"}""");
        Assert.Equal("pong", (await link.ReceiveControlAsync()).GetProperty("op").GetString());
    }
}
