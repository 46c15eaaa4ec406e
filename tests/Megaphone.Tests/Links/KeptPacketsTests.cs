using System.Collections.Concurrent;
using Megaphone.Links;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>What a receiver keeps while its sink cannot take a packet (section 7 of the link protocol).</summary>
public class KeptPacketsTests
{
    private const int Window = 100_000;
    private const int Slack = 64 << 10;

    private readonly ConcurrentQueue<TaskCompletionSource> _waits = new();
    private readonly RecordingSink _sink;
    private readonly KeptPackets _kept;
    private int _room;

    public KeptPacketsTests()
    {
        _sink = new RecordingSink
        {
            Window = Window,
            Answer = _ => _room-- > 0 ? Outcome.Done : Outcome.WouldBlock,
            Room = () =>
            {
                TaskCompletionSource wait = new();
                _waits.Enqueue(wait);
                return wait.Task;
            },
        };
        _kept = new KeptPackets(_sink, () => { });
    }

    [Fact]
    public async Task Packets_are_handed_over_in_order_whenever_there_is_room()
    {
        _kept.Begin(Numbered(1, 10));
        Assert.True(_kept.TryAppend(Numbered(11, 5), out _));
        foreach (int room in new[] { 1, 3, 0, 9 }) await MakeRoomAsync(room);
        Assert.True(_kept.TryAppend(Numbered(16, 1), out _));
        Assert.False(_kept.HandedOver.IsCompleted);
        await MakeRoomAsync(10);
        Assert.Equal(Outcome.Done, await _kept.HandedOver);
        Assert.Equal(Enumerable.Range(1, 16), _sink.Accepted.Select(packet => int.Parse(packet[..packet.IndexOf(':')])));
        Assert.Equal(16, _sink.Counted.Packets);

        // From now on the receiver hands packets over itself.
        Assert.False(_kept.TryAppend(Numbered(17, 1), out _));
    }

    /// <summary>What was taken of what came together is acknowledged, and the other end sends as much again.</summary>
    [Fact]
    public async Task As_much_may_come_as_was_taken()
    {
        _kept.Begin(Numbered(1, 100));
        Assert.True(_kept.TryAppend(Numbered(101, 60), out bool isTooMuch));
        Assert.False(isTooMuch);
        for (int round = 0; round < 10; round++)
        {
            await MakeRoomAsync(50);
            Assert.True(_kept.TryAppend(Numbered(161 + (50 * round), 50), out isTooMuch));
            Assert.False(isTooMuch);
        }

        Assert.True(_kept.TryAppend(Numbered(1000, (Slack + Window - 160_000) / 1000 + 1), out isTooMuch));
        Assert.True(isTooMuch);
    }

    [Fact]
    public async Task A_packet_that_ends_the_connection_is_the_last()
    {
        bool failed = false;
        RecordingSink sink = new() { Window = Window, Answer = id => id == 3 ? Outcome.Closed : Outcome.Done };
        KeptPackets kept = new(sink, () => failed = true);
        kept.Begin(Numbered(1, 5));
        Assert.Equal(Outcome.Closed, await kept.HandedOver);
        Assert.True(failed);
        Assert.Equal(2, sink.Accepted.Count);
    }

    /// <summary>Makes room for so many packets, and waits until there is none again, or no packet left.</summary>
    private Task MakeRoomAsync(int packets)
    {
        _room = packets;
        Assert.True(_waits.TryDequeue(out TaskCompletionSource? wait));
        wait.SetResult();
        return BoundedWait.UntilAsync(() => !_waits.IsEmpty || _kept.HandedOver.IsCompleted, "the packets");
    }

    /// <summary>Packets of 1,000 bytes, whose ids are their numbers.</summary>
    private static byte[] Numbered(int first, int count) =>
        [.. Enumerable.Range(first, count).SelectMany(id => Packets.Of((ulong)id, new byte[1000 - PacketHeader.Size]))];
}
