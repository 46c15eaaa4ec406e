namespace Megaphone.EndToEnd;

/// <summary>TLS whose records Megaphone opens and seals.</summary>
public sealed class TlsWithOwnRecordsTests() : TlsTests("own")
{
    [Fact]
    public async Task Half_a_key_update_holds_up_nothing()
    {
        using HandmadeSession session = await OpenAsync();
        (MegaphoneProcess ecm, LinkPeer link, HandmadeTls halting, ulong id) = (session.Ecm, session.Link, session.Client, session.Id);
        byte[] update = HandmadeTls.KeyUpdate(ask: true);
        await halting.SendAsync(HandmadeTls.Handshake, update.AsSpan(0, 4));

        byte[] much = Sample.Bytes(60_000);
        foreach (byte[] piece in much.Chunk(10_000)) await link.SendAsync(id, piece);
        Sample.AssertSame(much, await halting.ReceiveAsync(much.Length));

        await halting.SendAsync(HandmadeTls.Handshake, update.AsSpan(4));
        halting.UpdateOwnKeys();
        await halting.SendAsync(HandmadeTls.ApplicationData, "with new keys"u8);
        Assert.Equal("with new keys", (await link.ReceiveAsync()).Text);
        await ecm.ReachesAsync(0, "megaphone_buffered_bytes", "role=ecm");
    }
}
