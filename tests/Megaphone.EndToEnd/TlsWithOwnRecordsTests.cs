using System.Net.Sockets;
using System.Text;

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

    [Fact]
    public async Task Parts_of_records_for_which_there_is_no_memory_wait_in_the_kernel_and_cost_nobody_his_connection()
    {
        using MegaphoneProcess both = await BothAsync(
            "Ecm:Buffers:LowBytes=4096", "Ecm:Buffers:HighBytes=16384", "Ecm:Buffers:LimitBytes=65536", "Ecm:Buffers:TotalBytes=65536");
        string keys = Certificates.Files("keys").Key;
        byte[] said = Sample.Bytes(16 << 10);
        List<(HandmadeTls Client, byte[] Record)> clients = [];
        for (int count = 0; count < 20; count++)
        {
            HandmadeTls client = await HandmadeTls.ConnectAsync(both.Clients, keys);
            byte[] record = client.Seal(HandmadeTls.ApplicationData, said);
            await client.SendRawAsync(record.AsMemory(0, 12_000));
            clients.Add((client, record));
        }

        // One of which the header has not come whole, and one of which the rest never comes.
        using HandmadeTls late = await HandmadeTls.ConnectAsync(both.Clients, keys);
        byte[] lateRecord = late.Seal(HandmadeTls.ApplicationData, said);
        await late.SendRawAsync(lateRecord.AsMemory(0, 3));
        using HandmadeTls gone = await HandmadeTls.ConnectAsync(both.Clients, keys);
        await gone.SendRawAsync(gone.Seal(HandmadeTls.ApplicationData, said).AsMemory(0, 12_000));
        await both.Process.RestsAsync();

        gone.Socket.Shutdown(SocketShutdown.Send);
        await both.HasClientsAsync(21);
        foreach ((HandmadeTls client, byte[] record) in clients)
        {
            await client.SendRawAsync(record.AsMemory(12_000));
            Sample.AssertSame(said, await client.ReceiveAsync(said.Length));
            await client.SendAsync(HandmadeTls.ApplicationData, "and more"u8);
            Assert.Equal("and more", Encoding.ASCII.GetString(await client.ReceiveAsync(8)));
            client.Dispose();
        }

        await late.SendRawAsync(lateRecord.AsMemory(3));
        Sample.AssertSame(said, await late.ReceiveAsync(said.Length));
        Assert.Equal(0, (await both.MetricsAsync())["megaphone_sessions_closed_total", "role=ecm", "reason=buffer_total"]);
    }

    [Fact]
    public async Task No_core_dump_has_a_secret_of_a_client_and_no_memory_one_of_a_client_that_has_gone()
    {
        // What OpenSSL and the C library have freed keeps its content until something else comes to lie there, which may be never.
        using MegaphoneProcess both = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", "Hub:Listen=127.0.0.1:0", .. Settings()],
            environment: new Dictionary<string, string?> { ["GLIBC_TUNABLES"] = "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0" });
        await both.HasLinksAsync(1, "ecm");
        string keys = Certificates.Files("keys").Key;
        using HandmadeTls client = await HandmadeTls.ConnectAsync(both.Clients, keys);
        byte[][] secrets = [.. Secrets(keys)];
        File.Delete(keys);
        using HandmadeTls12 older = await HandmadeTls12.ConnectAsync(both.Clients, keys);
        byte[][] masterSecrets = [.. Secrets(keys)];
        await client.SendAsync(HandmadeTls.ApplicationData, "hello"u8);
        await client.ReceiveAsync(5);
        byte[] inKeyFile = Encoding.ASCII.GetBytes(File.ReadAllLines(Certificates.Files("localhost").Key)[1]);

        Assert.Equal((5, 1), (secrets.Length, masterSecrets.Length));
        int process = both.Process.Id;
        string found = "";

        // The ECM's end of the handshake is done a little later than the client's.
        await BoundedWait.UntilAsync(
            () => IsFreeOfAsync([.. secrets, .. masterSecrets, inKeyFile], dumpedOnly: true), () => $"a core dump without secrets: {found}");

        // Those of both directions are there, and again where the thread that has used them remembers with which key its context is.
        Assert.InRange(ProcessMemory.Find(process, secrets, dumpedOnly: false).Count, 2, 4);

        client.Dispose();
        older.Dispose();
        await both.HasClientsAsync(0);
        await BoundedWait.UntilAsync(
            () => IsFreeOfAsync([.. secrets, .. masterSecrets], dumpedOnly: false),
            () => $"memory without the secrets of clients that have gone: {found}");

        // What is kept stays; what a signal has saved of registers, say, on a busy machine, is overwritten by the handshakes of others.
        async Task<bool> IsFreeOfAsync(byte[][] unwanted, bool dumpedOnly)
        {
            found = string.Join("; ", ProcessMemory.Find(process, unwanted, dumpedOnly));
            if (found.Length == 0) return true;
            using TlsClient other = await TlsClient.ConnectAsync(both.Clients);
            return false;
        }
    }

    [Fact]
    public async Task A_process_with_TLS_leaves_no_core_dump()
    {
        using MegaphoneProcess both = await BothAsync();
        using MegaphoneProcess plain = await MegaphoneProcess.BothAsync();

        (string soft, string hard) = CoreLimit("self");
        Assert.Equal((hard == "0" ? "0" : "1", hard), CoreLimit($"{both.Process.Id}"));
        Assert.Equal((soft, hard), CoreLimit($"{plain.Process.Id}"));
    }

    /// <summary>The soft and the hard limit. With 1 the kernel neither writes a file nor starts a program for it (core(5)).</summary>
    private static (string Soft, string Hard) CoreLimit(string process)
    {
        string line = File.ReadLines($"/proc/{process}/limits").Single(line => line.StartsWith("Max core file size", StringComparison.Ordinal));
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (words[4], words[5]);
    }

    /// <summary>What an SSLKEYLOGFILE says of a handshake.</summary>
    private static IEnumerable<byte[]> Secrets(string keyLog) =>
        File.ReadAllLines(keyLog).Where(line => !line.StartsWith('#')).Select(line => Convert.FromHexString(line.Split(' ')[2]));
}
