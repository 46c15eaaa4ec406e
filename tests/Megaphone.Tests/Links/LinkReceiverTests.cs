using System.Net.Sockets;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Links;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>A stream sent over a real socket, however it is cut, gives the same packets.</summary>
public class LinkReceiverTests
{
    private const int Limit = 1 << 20;

    /// <summary>Sizes around those at which the receiver's buffer grows, and many small ones.</summary>
    private static readonly Gen<int> Sizes = Gen.Frequency(
        (12, Gen.Choose(0, 100)),
        (3, Gen.Choose(4064 - 2, 4064 + 2)),
        (2, Gen.Choose(0, 9_000)),
        (1, Gen.Choose((256 << 10) - 34, (256 << 10) - 30)),
        (1, Gen.Choose(0, 400_000)));

    private static readonly Gen<int[]> Pieces =
        Gen.OneOf(Gen.Choose(1, 3), Gen.Choose(1, 64), Gen.Choose(1, 5_000), Gen.Choose(1, 200_000))
            .NonEmptyListOf().Select(pieces => pieces.ToArray());

    [Fact]
    public void Any_packets_cut_at_any_points_come_out_the_same() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(Arb.From(Sizes.ArrayOf()), Arb.From(Pieces), (sizes, pieces) =>
        {
            byte[][] packets = [.. sizes.Select((size, i) => Packets.Of((ulong)i + 1, Filled(size, i)))];
            RecordingSink sink = new();
            LinkReceiver.End end = Receive(sink, packets.SelectMany(packet => packet).ToArray(), pieces);
            Assert.Equal(packets.Select(Printable), sink.Accepted);
            Assert.True(end.Orderly);
            Assert.Equal((packets.Length, packets.Sum(packet => (long)packet.Length)), sink.Counted);
        }));

    [Fact]
    public void Refused_packets_are_repeated_until_they_are_accepted_and_none_is_lost_or_duplicated() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(Arb.From(Sizes.ArrayOf()), Arb.From(Pieces), Arb.From(Gen.Choose(0, int.MaxValue)), (sizes, pieces, seed) =>
        {
            byte[][] packets = [.. sizes.Select((size, i) => Packets.Of((ulong)i + 1, Filled(size, i)))];
            Random random = new(seed);
            ulong refused = 0;
            int rooms = 0;
            RecordingSink sink = new();
            sink.Answer = id =>
            {
                Assert.True(refused == 0 || refused == id, $"packet {id} came while {refused} waits");
                refused = random.Next(3) == 0 ? id : 0;
                return refused == 0 ? Outcome.Done : Outcome.WouldBlock;
            };
            sink.Room = async () =>
            {
                rooms++;
                await Task.Yield();
            };
            LinkReceiver.End end = Receive(sink, packets.SelectMany(packet => packet).ToArray(), pieces);
            Assert.Equal(packets.Select(Printable), sink.Accepted);
            Assert.True(end.Orderly);
            Assert.Equal((packets.Length, packets.Sum(packet => (long)packet.Length)), sink.Counted);
        }));

    [Fact]
    public void The_longest_packet_is_accepted_between_short_ones()
    {
        byte[][] packets = [Packets.Of(1, "a"), Packets.Of(2, Filled(Limit - PacketHeader.Size, 2)), Packets.Of(3, "c")];
        RecordingSink sink = new();
        Assert.True(Receive(sink, packets.SelectMany(packet => packet).ToArray(), [100_000]).Orderly);
        Assert.Equal(packets.Select(Printable), sink.Accepted);
    }

    [Fact]
    public void A_limit_below_the_first_buffer_works_too()
    {
        byte[][] packets = [.. Enumerable.Range(1, 500).Select(i => Packets.Of((ulong)i, Filled(i % 9, i)))];
        RecordingSink sink = new();
        Assert.True(Receive(sink, packets.SelectMany(packet => packet).ToArray(), [777], limit: 40).Orderly);
        Assert.Equal(packets.Select(Printable), sink.Accepted);
    }

    [Fact]
    public void Packets_before_a_malformed_header_are_handed_over()
    {
        RecordingSink sink = new();
        LinkReceiver.End end = Receive(sink, [.. Packets.Of(1, "a"), .. "0000000041x00000000000000000007|"u8, .. Packets.Of(2, "b")], [1000]);
        Assert.Equal(["1:a"], sink.Accepted);
        Assert.NotNull(end.Fault);
        Assert.Equal(33 + 10, end.Fault.Offset);
    }

    [Fact]
    public void The_sink_can_end_it()
    {
        RecordingSink sink = new() { Answer = id => id == 2 ? Outcome.Closed : Outcome.Done };
        LinkReceiver.End end = Receive(sink, [.. Packets.Of(1, "a"), .. Packets.Of(2, "b"), .. Packets.Of(3, "c")], [1000]);
        Assert.Equal(["1:a"], sink.Accepted);
        Assert.Equal(new LinkReceiver.End(""), end);
    }

    [Fact]
    public void An_end_in_the_middle_of_a_packet_is_not_orderly()
    {
        RecordingSink sink = new();
        LinkReceiver.End end = Receive(sink, [.. Packets.Of(1, "a"), .. "0000000041|000"u8], [1000]);
        Assert.Equal(new LinkReceiver.End("ended by the other side in the middle of a packet, 14 bytes into it"), end);
    }

    [Fact]
    public async Task Closing_the_socket_ends_it()
    {
        using SocketPair pair = new();
        Task<LinkReceiver.End> running = new LinkReceiver(pair.Ours, Limit, new RecordingSink()).RunAsync();
        await Task.Delay(20);
        pair.Ours.Dispose();
        await BoundedWait.WithinAsync(running, "the end of the receiver");
        Assert.Equal(new LinkReceiver.End("closed"), await running);
    }

    [Fact]
    public async Task A_reset_ends_it_with_the_kernels_reason()
    {
        using SocketPair pair = new();
        Task<LinkReceiver.End> running = new LinkReceiver(pair.Ours, Limit, new RecordingSink()).RunAsync();
        pair.Peer.LingerState = new LingerOption(true, 0);
        pair.Peer.Dispose();
        await BoundedWait.WithinAsync(running, "the end of the receiver");
        Assert.False((await running).Orderly);
        Assert.Equal(new SocketException((int)SocketError.ConnectionReset).Message, (await running).Reason);
    }

    private static LinkReceiver.End Receive(RecordingSink sink, byte[] stream, int[] pieces, int limit = Limit)
    {
        using SocketPair pair = new();
        LinkReceiver receiver = new(pair.Ours, limit, sink);
        Task<LinkReceiver.End> running = receiver.RunAsync();
        try
        {
            int at = 0;
            for (int i = 0; at < stream.Length; i++)
            {
                // At most a thousand pieces, so that long streams do not take minutes.
                int piece = Math.Min(Math.Max(pieces[i % pieces.Length], stream.Length / 1000), stream.Length - at);
                pair.Peer.Send(stream.AsSpan(at, piece));
                at += piece;
            }

            pair.Peer.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The receiver may have ended already.
        }

        if (!running.Wait(BoundedWait.Limit)) throw new TimeoutException("The receiver did not end.");
        return running.Result;
    }

    private static byte[] Filled(int size, int seed)
    {
        byte[] content = new byte[size];
        new Random(seed).NextBytes(content);
        return content;
    }

    private static string Printable(byte[] packet) =>
        $"{ulong.Parse(Encoding.ASCII.GetString(packet, 11, 20))}:{Encoding.Latin1.GetString(packet.AsSpan(PacketHeader.Size))}";
}
