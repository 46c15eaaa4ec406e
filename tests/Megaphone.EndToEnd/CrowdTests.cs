using System.Net.Sockets;

namespace Megaphone.EndToEnd;

/// <summary>Many clients, and backends, that each do as they please: what was promised to each holds, and nothing is left.</summary>
public sealed class CrowdTests
{
    private const int Crowd = 400;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Clients_that_send_pause_end_and_abort_at_random_get_their_own_data_and_leave_nothing_behind(bool control)
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync($"Ecm:Link:Control={(control ? "true" : "false")}");
        int idle = await both.IdleDescriptorsAsync();
        using SemaphoreSlim room = new(60);

        await Task.WhenAll(Enumerable.Range(1, Crowd).Select(async seed =>
        {
            await BoundedWait.WithinAsync(room.WaitAsync(), "a turn");
            try
            {
                await BehaveAsync(both, new Random(seed));
            }
            finally
            {
                room.Release();
            }
        }));

        await AssertNothingIsLeftAsync(both, both, idle, idle);
    }

    [Fact]
    public async Task Backends_that_end_abort_and_ignore_sessions_at_random_leave_nothing_behind()
    {
        using TestBackend backend = new();
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync(backend.Setting, "Hub:HalfOpenTimeout=00:00:01");
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Hub, "Ecm:HalfOpenTimeout=00:00:01");
        await ecm.HasLinksAsync(1, "ecm");
        int hubIdle = await hub.IdleDescriptorsAsync(), ecmIdle = await ecm.IdleDescriptorsAsync();

        Task serving = ServeAtRandomAsync(backend, Crowd);
        for (int batch = 0; batch < Crowd; batch += 50)
        {
            List<TestConnection> clients = await TestConnection.ConnectManyAsync(ecm.Clients, 50);
            for (int i = 0; i < clients.Count; i++)
            {
                byte[] words = Sample.Bytes(100 + (i * 331), seed: batch + i);
                await UnlessAbortedAsync(clients[i], client => client.SendAsync(words));
                if (i % 3 == 0) await UnlessAbortedAsync(clients[i], client => Task.Run(client.EndSending));
            }

            // Whatever the backend does, each client's connection ends.
            await Task.WhenAll(clients.Select(client => client.AssertIsGoneAsync()));
            clients.ForEach(client => client.Dispose());
        }

        await serving;
        await AssertNothingIsLeftAsync(ecm, hub, ecmIdle, hubIdle);
    }

    /// <summary>One client with the echo at the other end.</summary>
    private static async Task BehaveAsync(MegaphoneProcess both, Random choose)
    {
        using TestConnection client = await TestConnection.ConnectAsync(
            both.Clients, receiveBuffer: choose.Next(2) == 0 ? 8 << 10 : null);
        // Up to what may wait for a slow client even where it cannot be paused.
        byte[] words = Sample.Bytes(choose.Next(1, 300_000), choose.Next());
        switch (choose.Next(6))
        {
            case 0:
                return;
            case 1:
                client.Abort();
                return;
            case 2:
                // Leaves in the middle of everything.
                await client.SendAsync(words);
                if (choose.Next(2) == 0) client.Abort();
                return;
            case 3:
                await client.SendAsync(words.AsMemory(0, Math.Min(words.Length, 20_000)));
                await client.ReceiveAsync(1);
                client.Abort();
                return;
            case 4:
                await client.SendAsync(words);
                client.EndSending();
                await Task.Delay(choose.Next(200));
                Sample.AssertSame(words, await client.ReceiveToEndAsync());
                return;
            default:
                Task<byte[]> echo = client.ReceiveAsync(words.Length);
                foreach (byte[] piece in words.Chunk(choose.Next(1000, 50_000))) await client.SendAsync(piece);
                Sample.AssertSame(words, await echo);
                return;
        }
    }

    private static async Task ServeAtRandomAsync(TestBackend backend, int sessions)
    {
        Random choose = new(7);
        List<TestConnection> ignored = [];
        for (int i = 0; i < sessions; i++)
        {
            TestConnection session = await backend.AcceptAsync();
            switch (choose.Next(4))
            {
                case 0:
                    session.Abort();
                    break;
                case 1:
                    session.Dispose();
                    break;
                case 2:
                    await session.ReceiveAsync(1);
                    await UnlessAbortedAsync(session, there => there.SendAsync(Sample.Bytes(50_000)));
                    session.Dispose();
                    break;
                default:
                    // Ended on this side and then forgotten: the half-open timeout has to see to it.
                    await UnlessAbortedAsync(session, there => Task.Run(there.EndSending));
                    ignored.Add(session);
                    break;
            }
        }

        foreach (TestConnection session in ignored)
        {
            await session.AssertIsGoneAsync();
            session.Dispose();
        }
    }

    /// <summary>Does something with a connection that the other end may abort at any moment.</summary>
    private static async Task UnlessAbortedAsync(TestConnection connection, Func<TestConnection, Task> what)
    {
        try
        {
            await what(connection);
        }
        catch (SocketException)
        {
            // It was.
        }
    }

    private static async Task AssertNothingIsLeftAsync(MegaphoneProcess ecm, MegaphoneProcess hub, int ecmIdle, int hubIdle)
    {
        await ecm.HasClientsAsync(0);
        await hub.HasSessionsAsync(0);
        await ecm.ReachesAsync(0, "megaphone_buffered_bytes");
        await hub.ReachesAsync(0, "megaphone_buffered_bytes");
        await ecm.DescriptorsAreBackToAsync(ecmIdle);
        await hub.DescriptorsAreBackToAsync(hubIdle);
        MetricsSnapshot there = await hub.MetricsAsync(), here = await ecm.MetricsAsync();
        Assert.Equal(here["megaphone_sessions_opened_total", "role=ecm"], there["megaphone_sessions_opened_total", "role=hub"]);
        Assert.Equal(there["megaphone_sessions_opened_total", "role=hub"], there["megaphone_sessions_closed_total", "role=hub"]);
        Assert.Equal(0, here["megaphone_protocol_errors_total", "role=ecm"]);
        Assert.Equal(0, there["megaphone_protocol_errors_total", "role=hub"]);
        Assert.Equal(1, here["megaphone_links", "role=ecm"]);
    }
}
