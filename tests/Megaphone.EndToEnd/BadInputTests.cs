using System.Net.Sockets;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>Bad input on every listener: nothing but the offender suffers, and memory stays where it is.</summary>
public sealed class BadInputTests : IAsyncLifetime, IDisposable
{
    /// <summary>The memory that bad input may leave in use: by allocator and thread pool, not by the input.</summary>
    private const long MemoryBound = 24 << 20;

    private MegaphoneProcess _both = null!;
    private TestConnection _bystander = null!;
    private LinkPeer _bystandingLink = null!;
    private readonly CancellationTokenSource _end = new();
    private Task _bystanding = null!;
    private long _echoed;
    private long _memory;
    private int _descriptors;

    /// <summary>A client and a link that keep talking to the echo through everything that a test does.</summary>
    public async Task InitializeAsync()
    {
        _both = await MegaphoneProcess.BothAsync();
        _bystander = await TestConnection.ConnectAsync(_both.Clients);
        await _bystander.AssertEchoesAsync();
        _bystandingLink = await LinkPeer.EcmAsync(_both);
        await _bystandingLink.AssertEchoesAsync(1);
        _descriptors = await _both.IdleDescriptorsAsync();
        _memory = _both.Process.ResidentBytes;
        _bystanding = BystandAsync();
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose()
    {
        _end.Dispose();
        _bystandingLink.Dispose();
        _bystander.Dispose();
        _both.Dispose();
    }

    [Fact]
    public async Task Random_bytes_on_the_client_port_are_passed_on_unchanged()
    {
        using TestConnection client = await TestConnection.ConnectAsync(_both.Clients);
        byte[] noise = Sample.Bytes(4 << 20);
        Task<byte[]> echo = client.ReceiveAsync(noise.Length);

        await client.SendAsync(noise);

        Sample.AssertSame(noise, await echo);
        client.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Single_bytes_on_the_client_port_arrive()
    {
        using TestConnection client = await TestConnection.ConnectAsync(_both.Clients);

        for (int i = 0; i < 200; i++)
        {
            await client.AssertEchoesAsync("x");
            if (i % 10 == 0) await Task.Delay(5);
        }

        client.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Thousands_of_clients_that_connect_and_reset_leave_nothing_behind()
    {
        for (int round = 0; round < 10; round++)
        {
            List<TestConnection> clients = await TestConnection.ConnectManyAsync(_both.Clients, 300);
            for (int i = 0; i < clients.Count; i++)
            {
                // Silent ones, some that have sent something, and some that have ended their direction.
                if (i % 3 == 1) await clients[i].SendAsync("x");
                if (i % 3 == 2) clients[i].EndSending();
                clients[i].Abort();
            }
        }

        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Clients_that_never_read_what_the_echo_sends_them_do_not_fill_memory()
    {
        List<TestConnection> clients = [];
        for (int i = 0; i < 20; i++) clients.Add(await TestConnection.ConnectAsync(_both.Clients, receiveBuffer: 8 << 10));
        // More than both ends and the kernel hold for one of them.
        byte[] flood = Sample.Bytes(40 << 20);

        Task[] floods = [.. clients.Select(async client =>
        {
            await Assert.ThrowsAnyAsync<Exception>(() => client.SendAsync(flood));
        })];
        await Task.Delay(TimeSpan.FromSeconds(2));

        // Twenty times 40 MiB would be 800. What is buffered for a slow socket is limited per session, and both ends buffer some.
        Assert.InRange(_both.Process.ResidentBytes - _memory, long.MinValue, 96 << 20);
        long echoed = Volatile.Read(ref _echoed);
        await BoundedWait.UntilAsync(() => Volatile.Read(ref _echoed) > echoed + 3, "the bystanders' going on");
        clients.ForEach(client => client.Abort());
        await Task.WhenAll(floods);
        await _both.ReachesAsync(0, "megaphone_buffered_bytes");
        await AssertNothingElseSufferedAsync(96 << 20);
    }

    [Fact]
    public async Task Half_open_clients_time_out()
    {
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(_both.Clients, 200);
        foreach (TestConnection client in clients)
        {
            await client.SendAsync("x");
            client.EndSending();
        }

        foreach (TestConnection client in clients) Assert.Equal("x", Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
        clients.ForEach(client => client.Dispose());
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Random_bytes_on_the_link_port_end_that_link_with_one_log_line_each()
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            using LinkPeer link = await LinkPeer.PlainEcmAsync(_both);
            // Beyond digits from the first byte on; else a random digit would only be refused later.
            byte[] noise = Sample.Bytes(1000, seed);
            noise[0] |= 0x80;
            await link.SendRawAsync(noise);
            await link.AssertClosesAsync();
        }

        await _both.ReachesAsync(20, "megaphone_protocol_errors_total", "role=hub");
        await _both.ComplainsAsync(20, "offset 0");
        Assert.Equal(20, _both.Complaints().Count);
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_million_digits_on_the_link_port_end_that_link_at_the_first_header()
    {
        using LinkPeer link = await LinkPeer.PlainEcmAsync(_both);
        byte[] digits = new byte[1_000_000];
        Array.Fill(digits, (byte)'9');

        try
        {
            await link.SendRawAsync(digits);
        }
        catch (SocketException)
        {
            // The hub did not wait for the rest.
        }

        await link.AssertClosesAsync();
        await _both.ReachesAsync(1, "megaphone_protocol_errors_total", "role=hub");
        await _both.ComplainsAsync(1, "offset 0");
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Headers_that_announce_long_packets_take_no_memory()
    {
        List<LinkPeer> links = [];
        for (int i = 0; i < 100; i++)
        {
            LinkPeer link = await LinkPeer.PlainEcmAsync(_both);
            links.Add(link);
            await link.SendRawAsync(Encoding.ASCII.GetBytes("0001048576|00000000000000000001|and no more"));
        }

        await _both.ReachesAtLeastAsync(1, "megaphone_links", "role=hub");

        // A hundred times 1 MiB is promised.
        await BoundedWait.NeverAsync(() => _both.Process.ResidentBytes - _memory > 48 << 20, "memory is taken for what is only promised");
        links.ForEach(link => link.Dispose());
        await AssertNothingElseSufferedAsync(48 << 20);
    }

    [Fact]
    public async Task Headers_cut_short_and_packets_that_are_too_long_end_only_their_links()
    {
        for (int length = 1; length < Packet.HeaderSize; length++)
        {
            using LinkPeer cut = await LinkPeer.PlainEcmAsync(_both);
            await cut.SendRawAsync(Packet.Format(1, "x").AsMemory(0, length));
        }

        using LinkPeer oversized = await LinkPeer.PlainEcmAsync(_both);
        await oversized.SendRawAsync(Encoding.ASCII.GetBytes("0001048577|00000000000000000001|"));
        await oversized.AssertClosesAsync();

        await _both.ReachesAsync(1, "megaphone_protocol_errors_total", "role=hub");
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Single_bytes_on_the_link_port_make_a_packet()
    {
        using LinkPeer link = await LinkPeer.PlainEcmAsync(_both);

        foreach (byte one in Packet.Format(77, "slowly but surely"))
        {
            await link.SendRawAsync(new[] { one });
            await Task.Delay(5);
        }

        Assert.Equal("slowly but surely", Encoding.ASCII.GetString(await link.ReceiveBytesAsync(77, 17)));
        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Thousands_of_links_that_connect_and_reset_leave_nothing_behind()
    {
        for (int i = 0; i < 2000; i++)
        {
            using LinkPeer link = await LinkPeer.PlainEcmAsync(_both);
            if (i % 2 == 1) await link.SendAsync((ulong)i, "x");
            link.Abort();
        }

        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task A_flood_of_sessions_on_one_link_is_served_and_freed()
    {
        using LinkPeer link = await LinkPeer.PlainEcmAsync(_both);
        for (ulong id = 1; id <= 20_000; id += 100)
        {
            await link.SendRawAsync(Enumerable.Range(0, 100).SelectMany(i => Packet.Format(id + (ulong)i, "").ToArray()).ToArray());
            for (int i = 0; i < 100; i++) await link.ReceiveAsync();
        }

        await _both.ReachesAsync(2, "megaphone_hub_sessions");
        link.Dispose();
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Bad_input_on_the_admin_port_does_no_harm()
    {
        byte[][] inputs =
        [
            Sample.Bytes(5000), Encoding.ASCII.GetBytes("GET /" + new string('9', 1_000_000)), "GET /metrics HTTP/9.9\r\n\r\n"u8.ToArray(),
        ];
        foreach (byte[] bad in inputs)
        {
            using TestConnection client = await TestConnection.ConnectAsync(_both.Admin);
            try
            {
                await client.SendAsync(bad);
            }
            catch (SocketException)
            {
                // Refused before the end of it.
            }

            await client.AssertIsGoneAsync();
        }

        // More connections than the endpoint accepts at the same time, silent or sending a byte occasionally.
        List<TestConnection> silent = await TestConnection.ConnectManyAsync(_both.Admin, 30);
        foreach (TestConnection client in silent) await client.SendAsync("G");
        for (int i = 0; i < 500; i++) (await TestConnection.ConnectAsync(_both.Admin)).Abort();
        Assert.Equal(200, (await _both.GetAsync("/healthz")).Status);
        Assert.Equal(404, (await _both.GetAsync("/" + new string('x', 500))).Status);

        silent.ForEach(client => client.Abort());
        await AssertNothingElseSufferedAsync();
    }

    [Fact]
    public async Task Silent_connections_to_the_admin_port_keep_no_probe_out()
    {
        List<TestConnection> silent = await TestConnection.ConnectManyAsync(_both.Admin, 200);

        await BoundedWait.UntilAsync(
            async () =>
            {
                try
                {
                    return (await _both.GetAsync("/healthz")).Status == 200;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            () => "an answer to somebody who asks a question");

        silent.ForEach(client => client.Abort());
        await AssertNothingElseSufferedAsync();
    }

    /// <summary>The other clients were served all the time, and sessions, descriptors and memory are as before.</summary>
    private async Task AssertNothingElseSufferedAsync(long memoryBound = MemoryBound)
    {
        long echoed = Volatile.Read(ref _echoed);
        await BoundedWait.UntilAsync(() => Volatile.Read(ref _echoed) > echoed + 3 || _bystanding.IsCompleted, "the bystanders' going on");
        await _end.CancelAsync();
        await _bystanding;
        await _both.HasClientsAsync(1);
        await _both.HasSessionsAsync(2);
        await _both.DescriptorsAreBackToAsync(_descriptors);
        Assert.InRange(_both.Process.ResidentBytes - _memory, long.MinValue, memoryBound);
        Assert.Equal(200, (await _both.GetAsync("/readyz")).Status);
    }

    private async Task BystandAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            await _bystander.AssertEchoesAsync($"still here {_echoed}");
            await _bystandingLink.AssertEchoesAsync(1, $"still here {_echoed}");
            Interlocked.Increment(ref _echoed);
            await Task.Delay(10);
        }
    }
}
