namespace Megaphone.EndToEnd;

/// <summary>TLS whose records Megaphone opens and seals.</summary>
public sealed class TlsWithOwnRecordsTests() : TlsTests("own")
{
    [Fact]
    public async Task Half_a_key_update_holds_up_nothing()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Settings());
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using HandmadeTls halting = await HandmadeTls.ConnectAsync(ecm.Clients, Certificates.Files("keys").Key);
        await halting.SendAsync(HandmadeTls.ApplicationData, "halting"u8);
        ulong id = (await link.ReceiveAsync()).Id;
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
