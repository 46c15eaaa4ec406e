using System.Net.Sockets;

namespace Megaphone.EndToEnd;

/// <summary>The built-in backend <c>echo:</c> when an ECM pauses a session and the link is crowded.</summary>
public sealed class EchoTests
{
    [Fact]
    public async Task A_paused_session_and_one_that_fills_a_small_ring_share_a_link_and_lose_nothing()
    {
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync("Hub:RingBytes=65536", "Hub:MaxPacketBytes=16384");
        using LinkPeer link = await LinkPeer.EcmAsync(hub);
        await link.AssertEchoesAsync(1);
        await link.SendControlAsync("""{"op":"pause","id":"1"}""");
        byte[] held = Sample.Bytes(10_000, seed: 1);
        await link.SendAsync(1, held);

        byte[] flood = Sample.Bytes(16 << 20, seed: 2);
        Task<byte[]> echo = link.ReceiveBytesAsync(2, flood.Length);
        foreach (byte[] piece in flood.Chunk(8000)) await link.SendAsync(2, piece);

        Sample.AssertSame(flood, await echo);
        await link.SendControlAsync("""{"op":"resume","id":"1"}""");
        Sample.AssertSame(held, await link.ReceiveBytesAsync(1, held.Length));
        await hub.ReachesAsync(0, "megaphone_buffered_bytes", "role=hub");
        Assert.Empty(hub.Complaints());
    }

    [Fact]
    public async Task An_ECM_that_pauses_a_session_and_does_not_read_its_link_cannot_make_the_hub_hold_more_than_LimitBytes()
    {
        const int Limit = 1_000_000;
        using MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Buffers:LimitBytes={Limit}");
        LinkPeer link = await LinkPeer.EcmAsync(hub, receiveBuffer: 256 << 10);
        await link.AssertEchoesAsync(1);

        // Pongs fill even the reserve for control packets: the hub cannot send that the session is over.
        byte[] ping = Packet.Format(0, """{"op":"ping","token":1}""");
        await link.SendRawAsync(Enumerable.Repeat(ping, 200_000).SelectMany(bytes => bytes).ToArray());
        await link.SendControlAsync("""{"op":"pause","id":"1"}""");
        byte[] flood = [.. Enumerable.Repeat(Packet.Format(1, Sample.Bytes(16 << 10)), 2000).SelectMany(bytes => bytes)];
        Task flooding = link.SendRawAsync(flood);

        await hub.ReachesAtLeastAsync(Limit - (32 << 10), "megaphone_buffered_bytes", "role=hub");
        for (int look = 0; look < 10; look++)
        {
            await Task.Delay(BoundedWait.Watch / 4);
            Assert.InRange((await hub.MetricsAsync())["megaphone_buffered_bytes", "role=hub"], 1, Limit);
        }

        Assert.False(flooding.IsCompleted, "The hub took all of it.");
        link.Abort();
        await Assert.ThrowsAnyAsync<SocketException>(() => flooding);
        await hub.ReachesAsync(0, "megaphone_buffered_bytes", "role=hub");
        await hub.HasSessionsAsync(0);
        link.Dispose();
    }
}
