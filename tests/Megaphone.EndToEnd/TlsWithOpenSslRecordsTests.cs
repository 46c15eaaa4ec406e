namespace Megaphone.EndToEnd;

/// <summary>TLS whose records OpenSSL opens and seals.</summary>
public sealed class TlsWithOpenSslRecordsTests() : TlsTests("openssl")
{
    [Fact]
    public async Task Half_a_key_update_delays_that_client_only_and_loses_nothing()
    {
        using HandmadeSession session = await OpenAsync();
        (MegaphoneProcess ecm, LinkPeer link, HandmadeTls halting, ulong haltingId) = (session.Ecm, session.Link, session.Client, session.Id);
        using TlsClient other = await TlsClient.ConnectAsync(ecm.Clients);
        await other.SendAsync("other");
        ulong otherId = (await link.ReceiveAsync()).Id;

        // Once it knows which message begins, OpenSSL neither reads nor writes anything else before its end: all output for this client waits.
        byte[] update = HandmadeTls.KeyUpdate(ask: true);
        await halting.SendAsync(HandmadeTls.Handshake, update.AsSpan(0, 4));

        // Until OpenSSL has read it; there is nothing that would tell. Were it too short, nothing would wait, and no pause be sent.
        await Task.Delay(BoundedWait.Watch);
        byte[] much = Sample.Bytes(300_000);
        foreach (byte[] piece in much.Chunk(10_000)) await link.SendAsync(haltingId, piece);
        await link.AssertControlAsync("pause", haltingId);
        await link.SendAsync(otherId, "not held up");
        Assert.Equal("not held up", await other.ReceiveTextAsync(11));
        await other.SendAsync("nor here");
        Assert.Equal("nor here", (await link.ReceiveAsync()).Text);

        await halting.SendAsync(HandmadeTls.Handshake, update.AsSpan(4));
        halting.UpdateOwnKeys();
        Sample.AssertSame(much, await halting.ReceiveAsync(much.Length));
        await link.AssertControlAsync("resume", haltingId);
        await halting.SendAsync(HandmadeTls.ApplicationData, "with new keys"u8);
        Assert.Equal("with new keys", (await link.ReceiveAsync()).Text);
    }

    [Fact]
    public async Task A_client_that_stops_in_the_middle_of_a_key_update_fills_a_bounded_buffer_and_is_then_closed()
    {
        using HandmadeSession session = await OpenAsync("Ecm:Buffers:LimitBytes=500000");
        (MegaphoneProcess ecm, LinkPeer link, HandmadeTls halting, ulong id) = (session.Ecm, session.Link, session.Client, session.Id);
        await halting.SendAsync(HandmadeTls.Handshake, HandmadeTls.KeyUpdate(ask: true).AsSpan(0, 4));

        // As above: were it too short, the client would be neither paused nor reset.
        await Task.Delay(BoundedWait.Watch);
        for (int sent = 0; sent < 600_000; sent += 10_000) await link.SendAsync(id, Sample.Bytes(10_000));

        await link.AssertControlAsync("pause", id);
        await link.AssertControlAsync("reset", id);
        await ecm.HasClosedAsync(1, "ecm", "buffer_limit");
        await ecm.ReachesAsync(0, "megaphone_buffered_bytes", "role=ecm");
    }
}
