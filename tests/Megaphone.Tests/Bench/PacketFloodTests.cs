using System.Net.Sockets;
using Megaphone.Bench;
using Megaphone.Protocol;
using Megaphone.Tests.Links;
using Xunit;

namespace Megaphone.Tests.Bench;

public sealed class PacketFloodTests : IDisposable
{
    private const int PacketBytes = 64;

    private readonly SocketPair _sockets = new();

    public void Dispose() => _sockets.Dispose();

    [Fact]
    public void Sessions_send_in_turn_from_the_first_id_on()
    {
        using PacketFlood flood = new((int)_sockets.Ours.Handle, sessions: 3, PacketBytes);
        ulong[] ids = new ulong[7];
        for (int i = 0; i < ids.Length; i++)
        {
            Assert.True(PacketHeader.TryParse(ReceivePacket(), PacketBytes, out PacketHeader header));
            Assert.Equal(PacketBytes, header.Length);
            ids[i] = header.ConnectionId;
        }

        Assert.Equal([1, 2, 3, 1, 2, 3, 1], ids);
    }

    [Fact]
    public async Task It_is_over_when_all_that_was_sent_has_come_back()
    {
        using PacketFlood flood = new((int)_sockets.Ours.Handle, sessions: 10, PacketBytes);
        Task echo = Task.Run(() =>
        {
            byte[] buffer = new byte[64 << 10];
            while (_sockets.Peer.Receive(buffer) is > 0 and int got) _sockets.Peer.Send(buffer.AsSpan(0, got));
        });
        await BoundedWait.UntilAsync(() => flood.BytesReceived > 1 << 20, "a MiB has come back");
        flood.StopSending();
        await BoundedWait.UntilAsync(() => flood.IsOver, "the rest has come back");

        Assert.Equal((0, null), (flood.BytesMissing, flood.Failure));
        flood.Dispose();
        await BoundedWait.WithinAsync(echo, "the link is closed");
    }

    [Fact]
    public async Task A_packet_that_was_never_sent_is_a_failure()
    {
        using PacketFlood flood = new((int)_sockets.Ours.Handle, sessions: 1, PacketBytes);
        byte[] packet = ReceivePacket();
        PacketHeader.Write(packet, PacketBytes + 1, id: 1);
        _sockets.Peer.Send(packet);

        await BoundedWait.UntilAsync(() => flood.IsOver, "the packet was seen");
        Assert.Equal("a packet came back that was never sent", flood.Failure);
    }

    [Fact]
    public async Task A_link_that_is_closed_is_a_failure()
    {
        using PacketFlood flood = new((int)_sockets.Ours.Handle, sessions: 1, PacketBytes);
        _sockets.Peer.Close();

        await BoundedWait.UntilAsync(() => flood.IsOver, "the link's end was seen");
        Assert.StartsWith("the link was lost: ", flood.Failure, StringComparison.Ordinal);
    }

    private byte[] ReceivePacket()
    {
        byte[] packet = new byte[PacketBytes];
        for (int got = 0; got < packet.Length;) got += _sockets.Peer.Receive(packet.AsSpan(got), SocketFlags.None);
        return packet;
    }
}
