using System.Net.Sockets;

namespace Megaphone.EndToEnd;

/// <summary>
/// A peer that has made its handshake, and then sends far too much of what may be sent in small numbers: it is ended, nobody else
/// waits, and memory does not grow. <see cref="TlsTurnTests"/> has the exact number of key updates.
/// </summary>
public sealed class HostileTlsFloodTests(TlsPeerServer server) : IClassFixture<TlsPeerServer>
{
    private const byte Alert = HandmadeTls.Alert, Handshake = HandmadeTls.Handshake, Data = HandmadeTls.ApplicationData;
    private const byte UnexpectedMessage = 10, UserCanceled = 90, NoRenegotiation = 100;
    private const int Many = 20_000;

    public static TheoryData<string> Layers => [.. RecordLayers.Names];

    public static TheoryData<string, string> Floods13 =>
        RecordLayers.With("empty records", "padding", "warnings", "key updates", "requests for key updates");

    public static TheoryData<string, string> Floods12 => RecordLayers.With("empty records", "warnings", "renegotiations");

    [Theory]
    [MemberData(nameof(Floods13))]
    public async Task With_TLS_1_3_a_flood_without_data_ends_its_sender_and_harms_nobody(string layer, string flood)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        using HonestEcho honest = await HonestEcho.BeginAsync(both);
        using HandmadeTls client = await HandmadeTls.ConnectAsync(both.Clients, server.FileFor("keys"));
        byte[] records = flood.Contains("key updates", StringComparison.Ordinal)
            ? client.SealKeyUpdates(Many, ask: flood.StartsWith("requests", StringComparison.Ordinal))
            : Repeat(() => flood switch
            {
                "empty records" => client.Seal(Data, []),
                "padding" => client.Seal(Data, [], padding: 100),
                _ => client.Seal(Alert, [1, UserCanceled]),
            });

        await SendUntilRefusedAsync(client.Socket, records);

        // OpenSSL answers every request by itself. What of that is still in the kernel when the connection is closed is lost, as the client's
        // records have not all been read, and the alert behind it as well.
        bool mayBeLost = layer == RecordLayers.OpenSsl && flood.StartsWith("requests", StringComparison.Ordinal);
        if (!mayBeLost) Assert.Equal(UnexpectedMessage, await client.ReceiveAlertAsync());
        await both.HasClientsAsync(1);
        await honest.AssertUnharmedAsync();
    }

    [Theory]
    [MemberData(nameof(Floods12))]
    public async Task With_TLS_1_2_a_flood_without_data_ends_its_sender_and_harms_nobody(string layer, string flood)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        using HonestEcho honest = await HonestEcho.BeginAsync(both);
        using HandmadeTls12 client = await HandmadeTls12.ConnectAsync(both.Clients, server.FileFor("keys"));
        byte[] records = Repeat(() => flood switch
        {
            "empty records" => client.Seal(Data, []),
            "warnings" => client.Seal(Alert, [1, UserCanceled]),
            _ => client.Seal(Handshake, [1, 0, 0, 0]),
        });

        await SendUntilRefusedAsync(client.Socket, records);
        (byte type, byte[] content) = (await client.ReceiveRecordsAsync(1)).Single();
        Assert.Equal(Alert, type);
        Assert.Equal(flood == "renegotiations" ? [1, NoRenegotiation] : [2, UnexpectedMessage], content);
        await both.HasClientsAsync(1);
        await honest.AssertUnharmedAsync();
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public async Task Records_in_single_bytes_harm_nobody_and_are_read(string layer)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        using HonestEcho honest = await HonestEcho.BeginAsync(both);
        using HandmadeTls client = await HandmadeTls.ConnectAsync(both.Clients, server.FileFor("keys"));
        client.Socket.NoDelay = true;
        byte[] said = Sample.Bytes(2000);
        byte[] update = client.SealKeyUpdates(1, ask: true);
        foreach (byte one in (byte[])[.. update, .. client.Seal(Data, said)]) await client.SendRawAsync(new[] { one });
        Sample.AssertSame(said, await client.ReceiveAsync(said.Length));
        Assert.Equal(1, client.KeyUpdates);

        using HandmadeTls12 older = await HandmadeTls12.ConnectAsync(both.Clients, server.FileFor("keys"));
        older.Socket.NoDelay = true;
        foreach (byte one in older.Seal(Data, said)) await older.SendRawAsync(new[] { one });
        Sample.AssertSame(said, (await older.ReceiveRecordsAsync(1)).Single().Content);
        await honest.AssertUnharmedAsync();
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public async Task Many_clients_with_half_a_record_harm_nobody(string layer)
    {
        const int Clients = 12;
        MegaphoneProcess both = await server.StartedAsync(layer);
        using HonestEcho honest = await HonestEcho.BeginAsync(both);
        List<HandmadeTls> halting = [];
        for (int i = 0; i < Clients; i++)
        {
            HandmadeTls client = await HandmadeTls.ConnectAsync(both.Clients, server.FileFor("keys"));
            halting.Add(client);
            await client.SendRawAsync(client.Seal(Data, Sample.Bytes(16_000)).AsMemory(0, 15_000));
        }

        await both.HasClientsAsync(1 + Clients);
        foreach (HandmadeTls client in halting) client.Dispose();
        await both.HasClientsAsync(1);
        await honest.AssertUnharmedAsync();
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public async Task One_key_update_answers_all_that_were_asked_for_while_the_client_did_not_read(string layer)
    {
        const int Rounds = 10;
        using TestBackend backend = new();
        using MegaphoneProcess both = await server.StartAsync(layer, backend.Setting);
        using HandmadeTls asking = await HandmadeTls.ConnectAsync(both.Clients, server.FileFor("keys"));
        await asking.SendAsync(Data, "hello"u8);
        using TestConnection session = await backend.AcceptAsync();
        await session.ReceiveAsync(5);

        // The kernel's buffers are filled, until output for this client waits in the ECM.
        byte[] piece = Sample.Bytes(64 << 10);
        int pieces = 0;
        for (; (await both.MetricsAsync())["megaphone_buffered_bytes", "role=ecm"] == 0; pieces++) await session.SendAsync(piece);
        await both.Process.RestsAsync();
        long waiting = (await both.MetricsAsync())["megaphone_buffered_bytes", "role=ecm"];
        for (int round = 0; round < Rounds; round++)
        {
            await asking.SendRawAsync(asking.SealKeyUpdates(60, ask: true));
            await asking.SendAsync(Data, "asked"u8);

            // OpenSSL's connection is read again when its output has gone out: an answer goes out behind it, and before the next is asked for.
            if (layer == RecordLayers.Own) Assert.Equal("asked", await session.ReceiveTextAsync(5));
        }

        await both.Process.RestsAsync();

        // An answer to each of them would be ten times as much.
        Assert.InRange((await both.MetricsAsync())["megaphone_buffered_bytes", "role=ecm"], 1, waiting + 1600);
        byte[] all = await asking.ReceiveAsync(pieces * piece.Length);
        Assert.All(all.Chunk(piece.Length), received => Sample.AssertSame(piece, received));
        if (layer == RecordLayers.OpenSsl) await session.ReceiveAsync(5 * Rounds);
        await session.SendAsync("answered");
        await asking.ReceiveAsync(8);
        Assert.InRange(asking.KeyUpdates, 1, layer == RecordLayers.Own ? 1 : 60 * Rounds);
        await both.ReachesAsync(0, "megaphone_buffered_bytes", "role=ecm");
    }

    private static byte[] Repeat(Func<byte[]> make) => [.. Enumerable.Range(0, Many).SelectMany(_ => make())];

    /// <summary>Sends all of it, or as much as the other end takes before it has closed the connection.</summary>
    private static async Task SendUntilRefusedAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (bytes.Length > 0) bytes = bytes[await BoundedWait.WithinAsync(socket.SendAsync(bytes).AsTask(), "room to send, or the end")..];
        }
        catch (SocketException)
        {
            // It has closed it.
        }
    }
}
