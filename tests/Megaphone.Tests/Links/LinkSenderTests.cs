using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Many writers, one thread that sends, a real socket, and a reader that counts every byte.</summary>
public class LinkSenderTests
{
    private const int SmallBuffers = 4096;
    private const int RingBytes = 64 << 10;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Many_writers_lose_and_duplicate_nothing_and_each_id_keeps_its_order(bool tls)
    {
        const int writers = 8;
        const int idsPerWriter = 25;
        const int packetsPerWriter = 4_000;
        using SocketPair? plain = tls ? null : new SocketPair(SmallBuffers);
        using SecuredPair? secured = tls ? await SecuredPair.ConnectAsync(SmallBuffers) : null;
        Socket ours = plain?.Ours ?? secured!.Ours;
        RoleMetrics metrics = new(Role.Ecm);
        Room room = new();
        TestSender sender = new(ours, RingBytes, "stress", metrics, room.Again, secured?.Secured);
        Task<long> reading = OnThread(() => ReadAndCheck(plain is null ? secured!.Peer : new NetworkStream(plain.Peer), stopAfter: 512 << 10));

        Task[] writing = [.. Enumerable.Range(0, writers).Select(writer => OnThread(() =>
        {
            Random random = new(writer);
            uint[] next = new uint[idsPerWriter];
            for (int i = 0; i < packetsPerWriter; i++)
            {
                int which = random.Next(idsPerWriter);
                ulong id = (ulong)(1 + writer * idsPerWriter + which);
                byte[] content = Content(id, next[which]++);
                room.Wait(() => sender.TryWrite(id, content));
                if (random.Next(4) == 0) sender.Flush();
            }

            sender.Flush();
            return 0L;
        }))];
        await BoundedWait.WithinAsync(Task.WhenAll(writing), "the writers");

        sender.Drain();
        await BoundedWait.WithinAsync(sender.Ended, "the drained sender");
        ours.Shutdown(SocketShutdown.Send);
        await BoundedWait.WithinAsync(reading, "the reader");
        Assert.Equal(writers * packetsPerWriter, await reading);
        Assert.Equal(writers * packetsPerWriter, sender.Counters.PacketsOut);
        Assert.Equal((sender.Counters.PacketsOut, sender.Counters.BytesOut), (metrics.PacketsOut, metrics.BytesOut));
        Assert.Equal(0, metrics.Dropped(DropReason.LinkLost));
    }

    [Fact]
    public async Task Packets_shorter_than_their_claim_are_sent_as_they_are()
    {
        const int packets = 5_000;
        using SocketPair pair = new(SmallBuffers);
        Room room = new();
        TestSender sender = new(pair.Ours, RingBytes, "shorter", new RoleMetrics(Role.Ecm), room.Again);
        Task<long> reading = OnThread(() => ReadAndCheck(new NetworkStream(pair.Peer), stopAfter: 1 << 20));
        for (uint i = 0; i < packets; i++)
        {
            byte[] content = Content(7, i);
            RingClaim claim = default;
            room.Wait(() => sender.TryClaim(8 << 10, out claim));
            claim.Commit(7, content);
            claim.Release();
            sender.Flush();
        }

        sender.Drain();
        await BoundedWait.WithinAsync(sender.Ended, "the drained sender");
        pair.Ours.Shutdown(SocketShutdown.Send);
        await BoundedWait.WithinAsync(reading, "the reader");
        Assert.Equal(packets, await reading);
    }

    [Fact]
    public async Task No_wake_up_is_lost()
    {
        const int rounds = 10_000;
        using SocketPair pair = new();
        TestSender sender = new(pair.Ours, RingBytes, "wake-ups", new RoleMetrics(Role.Ecm));
        Task waiting = OnThread(() =>
        {
            Random random = new(1);
            byte[] buffer = new byte[PacketHeader.Size];
            for (int round = 0; round < rounds; round++)
            {
                Assert.True(sender.TryWrite((ulong)round + 1, []));
                sender.Flush();
                for (int there = 0; there < buffer.Length;) there += pair.Peer.Receive(buffer, there, buffer.Length - there, SocketFlags.None);
                Assert.True(PacketHeader.TryParse(buffer, int.MaxValue, out PacketHeader header));
                Assert.Equal((ulong)round + 1, header.ConnectionId);
                Thread.SpinWait(random.Next(300));
            }

            return 0L;
        });
        await BoundedWait.WithinAsync(waiting, "single packets, each of which is waited for");
        sender.Drain();
        await BoundedWait.WithinAsync(sender.Ended, "the drained sender");
    }

    [Fact]
    public async Task Draining_sends_everything_that_was_queued_without_a_flush()
    {
        using SocketPair pair = new(SmallBuffers);
        TestSender sender = new(pair.Ours, RingBytes, "drain", new RoleMetrics(Role.Ecm));
        uint queued = 0;
        while (sender.TryWrite(7, Content(7, queued))) queued++;
        sender.Drain();

        Task<long> reading = OnThread(() => ReadAndCheck(new NetworkStream(pair.Peer), stopAfter: int.MaxValue));
        await BoundedWait.WithinAsync(sender.Ended, "the drained sender");
        pair.Ours.Shutdown(SocketShutdown.Send);
        await BoundedWait.WithinAsync(reading, "the reader");
        Assert.Equal(queued, await reading);
    }

    [Fact]
    public async Task Draining_a_sender_that_sleeps_ends_it()
    {
        using SocketPair pair = new();
        TestSender sender = new(pair.Ours, RingBytes, "asleep", new RoleMetrics(Role.Ecm));
        await Task.Delay(20);
        sender.Drain();
        await BoundedWait.WithinAsync(sender.Ended, "the drained sender");
    }

    [Fact]
    public async Task A_closed_socket_ends_the_thread_and_what_was_queued_is_counted_as_lost()
    {
        using SocketPair pair = new(SmallBuffers);
        RoleMetrics metrics = new(Role.Ecm);
        TestSender sender = new(pair.Ours, RingBytes, "closed", metrics);

        // The reader reads nothing, so that the thread blocks in a send when the socket is closed.
        long written = 0;
        while (sender.TryWrite(7, new byte[1000]))
        {
            written++;
            sender.Flush();
        }

        await Task.Delay(50);
        while (sender.TryWrite(7, new byte[1000])) written++;
        pair.Ours.Dispose();

        await BoundedWait.WithinAsync(sender.Ended, "the sender of a closed socket");
        await BoundedWait.WithinAsync(sender.Failed, "the call that says so");
        Assert.Equal(written, metrics.PacketsOut + metrics.Dropped(DropReason.LinkLost));
        Assert.True(metrics.Dropped(DropReason.LinkLost) > 0);

        sender.Flush();
        sender.Drain();
        await Task.Delay(20);
        Assert.Equal(1, sender.Ends);
    }

    [Fact]
    public async Task A_peer_that_resets_ends_the_thread()
    {
        using SocketPair pair = new();
        TestSender sender = new(pair.Ours, RingBytes, "reset", new RoleMetrics(Role.Ecm));
        pair.Peer.LingerState = new LingerOption(true, 0);
        pair.Peer.Dispose();
        await BoundedWait.UntilAsync(
            () =>
            {
                sender.TryWrite(7, []);
                sender.Flush();
                return sender.Failed.IsCompleted;
            },
            "the failure of a reset connection");
        await BoundedWait.WithinAsync(sender.Ended, "the end of the thread");
    }

    [Fact]
    public async Task An_idle_sender_uses_no_CPU_time()
    {
        using SocketPair pair = new();
        TestSender sender = new(pair.Ours, RingBytes, "idle sender", new RoleMetrics(Role.Ecm));
        Assert.True(sender.TryWrite(7, []));
        sender.Flush();
        await BoundedWait.UntilAsync(() => sender.Counters.PacketsOut == 1, "the first packet");

        long before = CpuTicksOf("idle sender");
        await Task.Delay(1000);
        long used = CpuTicksOf("idle sender") - before;
        sender.Drain();
        await BoundedWait.WithinAsync(sender.Ended, "the drained sender");
        Assert.InRange(used, 0, 3);
    }

    /// <summary>User and system time of a thread in ticks of 10 ms.</summary>
    private static long CpuTicksOf(string name)
    {
        foreach (string task in Directory.GetDirectories("/proc/self/task"))
        {
            string stat;
            try
            {
                stat = File.ReadAllText(Path.Combine(task, "stat"));
            }
            catch (IOException)
            {
                // It has ended meanwhile.
                continue;
            }

            int end = stat.LastIndexOf(')');
            if (stat[(stat.IndexOf('(') + 1)..end] != name) continue;
            string[] fields = stat[(end + 2)..].Split(' ');
            return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        }

        throw new InvalidOperationException($"There is no thread {name}.");
    }

    /// <summary>The content of packet number <paramref name="sequence"/> of an id: its number, and bytes derived from both.</summary>
    private static byte[] Content(ulong id, uint sequence)
    {
        Random random = new((int)(id * 1_000_003 + sequence));
        int kind = random.Next(10);
        byte[] content = new byte[4 + (kind == 0 ? random.Next(6_000) : kind < 6 ? random.Next(40) : random.Next(300))];
        random.NextBytes(content);
        BinaryPrimitives.WriteUInt32LittleEndian(content, sequence);
        return content;
    }

    /// <summary>Reads to the end, checks every packet, and pauses occasionally.</summary>
    /// <returns>How many packets there were.</returns>
    private static long ReadAndCheck(Stream stream, int stopAfter)
    {
        Dictionary<ulong, uint> next = [];
        PacketSplitter splitter = new(1 << 20);
        byte[] buffer = new byte[128 << 10];
        int end = 0;
        long packets = 0;
        int sincePause = 0;
        int count;
        while ((count = stream.Read(buffer, end, Math.Min(16 << 10, buffer.Length - end))) > 0)
        {
            end += count;
            ReadOnlySpan<byte> unread = buffer.AsSpan(0, end);
            PacketSplitter.Result result;
            while ((result = splitter.Next(unread, out PacketHeader header)) == PacketSplitter.Result.Packet)
            {
                uint expected = next.GetValueOrDefault(header.ConnectionId);
                if (!unread[PacketHeader.Size..header.Length].SequenceEqual(Content(header.ConnectionId, expected)))
                    Assert.Fail($"packet {expected} of id {header.ConnectionId} is not what comes next");
                next[header.ConnectionId] = expected + 1;
                packets++;
                unread = unread[header.Length..];
            }

            Assert.Equal(PacketSplitter.Result.Incomplete, result);
            unread.CopyTo(buffer);
            end = unread.Length;
            if ((sincePause += count) < stopAfter) continue;
            sincePause = 0;
            Thread.Sleep(20);
        }

        Assert.Equal(0, end);
        return packets;
    }

    private static Task<long> OnThread(Func<long> action) =>
        Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Lets writers whose claims were refused wait until there is room again.</summary>
    private sealed class Room
    {
        private readonly object _gate = new();
        private int _version;

        public void Again()
        {
            lock (_gate)
            {
                _version++;
                Monitor.PulseAll(_gate);
            }
        }

        public void Wait(Func<bool> attempt)
        {
            while (true)
            {
                int seen = Volatile.Read(ref _version);
                if (attempt()) return;
                lock (_gate)
                {
                    while (_version == seen)
                    {
                        if (!Monitor.Wait(_gate, BoundedWait.Limit)) throw new TimeoutException("OnWritable was not called.");
                    }
                }
            }
        }
    }
}
