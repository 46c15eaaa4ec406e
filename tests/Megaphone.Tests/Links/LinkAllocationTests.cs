using System.Net.Sockets;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Packets allocate nothing.</summary>
[Collection(nameof(Alone))]
public class LinkAllocationTests
{
    private const int Count = 100_000;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Receiving_allocates_nothing_per_packet(bool tls)
    {
        using SocketPair? plain = tls ? null : new SocketPair();
        using SecuredPair? secured = tls ? await SecuredPair.ConnectAsync() : null;
        using Stream peer = plain is null ? secured!.Peer : new NetworkStream(plain.Peer, ownsSocket: true);
        Counter counter = new();
        Task<LinkReceiver.End> running = new LinkReceiver(plain?.Ours ?? secured!.Ours, 1 << 20, counter).RunAsync(secured?.Secured);
        byte[] thousand = [.. Enumerable.Range(0, 1000).SelectMany(i => Packets.Of((ulong)i + 1, "thirty-two bytes of some content"))];

        async Task RunAsync(int upTo)
        {
            while (counter.Sent < upTo)
            {
                peer.Write(thousand);
                counter.Sent += 1000;
            }

            await BoundedWait.UntilAsync(() => Volatile.Read(ref counter.Received) == upTo, $"{upTo} packets");
        }

        await RunAsync(20_000);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await RunAsync(20_000 + Count);
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        if (secured is not null) await secured.Peer.ShutdownAsync();
        else peer.Dispose();
        await BoundedWait.WithinAsync(running, "the receiver");

        // The wait for the last packet, and occasionally a receive that had to wait, allocate a little. An object takes 24 bytes.
        Assert.InRange(allocated, 0, 10 * Count);
    }

    [Fact]
    public async Task Sending_allocates_nothing_per_packet()
    {
        using SocketPair pair = new();
        RoleMetrics metrics = new(Role.Ecm);
        TestSender sender = new(pair.Ours, 1 << 20, "allocation", metrics);
        byte[] content = new byte[32];
        byte[] buffer = new byte[1 << 20];

        void Run(int upTo)
        {
            long read = 0;
            long wanted = (upTo - metrics.PacketsOut) * 64;
            for (long written = metrics.PacketsOut; written < upTo;)
            {
                while (written < upTo && sender.TryWrite(7, content)) written++;
                sender.Flush();
                if (pair.Peer.Available > 0) read += pair.Peer.Receive(buffer);
            }

            while (read < wanted) read += pair.Peer.Receive(buffer);
        }

        Run(20_000);
        await BoundedWait.UntilAsync(() => metrics.PacketsOut == 20_000, "the first packets");
        long before = GC.GetTotalAllocatedBytes(precise: true);
        Run(20_000 + Count);
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        sender.Drain();
        await BoundedWait.WithinAsync(sender.Ended, "the drained sender");

        // What other tests have left running allocates a little.
        Assert.InRange(allocated, 0, 10 * Count);
    }

    [Fact]
    public async Task A_link_that_has_not_authenticated_gets_no_more_memory_than_a_hello_takes()
    {
        const int links = 40;
        LinkOptions options = new() { Secret = "s3", SocketBufferBytes = 0 };
        List<TestLink> all = [.. Enumerable.Range(0, links).Select(_ => new TestLink(LinkOrigin.Accepted, options))];
        byte[] nearlyAll = Packets.Of(0, new byte[LinkReceiver.LongestHello - PacketHeader.Size])[..^1];
        long before = GC.GetTotalAllocatedBytes(precise: true);
        foreach (TestLink link in all) link.Peer.Send(nearlyAll);
        await BoundedWait.UntilAsync(() => all.Sum(link => link.Metrics.BytesIn) == links * nearlyAll.Length, "all that was sent");
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        all.ForEach(link => link.Dispose());
        await Task.WhenAll(all.Select(link => link.OverAsync()));

        Assert.InRange(allocated, 0, links * 16 << 10);
    }

    private sealed class Counter : IPacketSink
    {
        public int Sent;
        public int Received;

        public Outcome Accept(ulong id, ReadOnlySpan<byte> content) => Outcome.Done;

        public void OnBatchEnd(int packets, int bytes) => Volatile.Write(ref Received, Received + packets);

        public Task WaitForRoomAsync() => Task.CompletedTask;
    }
}
