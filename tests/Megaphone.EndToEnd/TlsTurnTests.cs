using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>
/// The records without data that a client may send after its handshake: each of them costs the ECM a lot, so their number is
/// bounded. <see cref="AttackTests"/> shows how such a client affects others.
/// </summary>
public abstract class TlsTurnTests : IDisposable
{
    /// <summary>Alerts of RFC 8446, section 6.</summary>
    private const byte UnexpectedMessage = 10, BadRecordMac = 20;

    /// <summary>Types of handshake messages of RFC 8446, section 4.</summary>
    private const byte ClientHello = 1, Certificate = 11, Finished = 20;

    private readonly TestCertificates _certificates = new();
    private readonly string _records;

    /// <summary>The tests, with one of the two record layers.</summary>
    protected TlsTurnTests(string records)
    {
        _records = records;
        _certificates.Issue("localhost", ["localhost"]);
    }

    public void Dispose()
    {
        _certificates.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sixty_four_key_updates_in_a_row_are_accepted_and_one_more_ends_the_client(bool ask)
    {
        using MegaphoneProcess both = await BothAsync();
        using HandmadeTls client = await ConnectAsync(both);
        await UpdateKeysAsync(client, 64, ask);
        await client.SendAsync(HandmadeTls.ApplicationData, "there"u8);
        Assert.Equal("there", Encoding.ASCII.GetString(await client.ReceiveAsync(5)));
        await UpdateKeysAsync(client, 64, ask);
        await client.SendAsync(HandmadeTls.ApplicationData, "still there"u8);
        Assert.Equal("still there", Encoding.ASCII.GetString(await client.ReceiveAsync(11)));

        await UpdateKeysAsync(client, 65, ask);

        Assert.Equal(UnexpectedMessage, await client.ReceiveAlertAsync());
        await both.HasClientsAsync(0);
    }

    [Fact]
    public async Task A_key_update_in_many_records_counts_as_all_of_them()
    {
        using MegaphoneProcess both = await BothAsync();
        using HandmadeTls client = await ConnectAsync(both);

        // Each of five bytes in a record of its own: the thirteenth update is the 65th record.
        for (int updates = 0; updates < 13; updates++)
        {
            foreach (byte part in HandmadeTls.KeyUpdate(ask: false)) await client.SendAsync(HandmadeTls.Handshake, [part]);
            client.UpdateOwnKeys();
        }

        Assert.Equal(UnexpectedMessage, await client.ReceiveAlertAsync());
    }

    [Theory]
    [InlineData(ClientHello)]
    [InlineData(Certificate)]
    [InlineData(Finished)]
    public async Task Any_other_handshake_message_ends_the_client(byte type)
    {
        using MegaphoneProcess both = await BothAsync();
        using HandmadeTls client = await ConnectAsync(both);

        await client.SendAsync(HandmadeTls.Handshake, [type, 0, 0, 0]);

        Assert.Equal(UnexpectedMessage, await client.ReceiveAlertAsync());
        await both.HasClientsAsync(0);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(HandmadeTls12.MaxContentBytes)]
    public async Task With_TLS_1_2_the_first_attempt_to_renegotiate_is_answered_once_and_ends_the_client(int bytes)
    {
        using MegaphoneProcess both = await BothAsync();
        using HandmadeTls12 client = await HandmadeTls12.ConnectAsync(both.Clients, _certificates.Files("keys").Key);
        byte[] hellos = new byte[bytes];
        for (int at = 0; at < bytes; at += 4) hellos[at] = ClientHello;

        await client.SendRawAsync(client.Seal(HandmadeTls.Handshake, hellos));

        // no_renegotiation and close_notify: what is in a record of TLS 1.2 is sealed, and its type is not.
        byte[] answers = await client.ReceiveTypesAsync();
        Assert.Equal([HandmadeTls.Alert, HandmadeTls.Alert], answers);
        await both.HasClientsAsync(0);
    }

    [Fact]
    public async Task Records_sent_byte_by_byte_or_many_at_once_are_read_in_order()
    {
        using MegaphoneProcess both = await BothAsync();
        using HandmadeTls client = await ConnectAsync(both);
        byte[] said = Sample.Bytes(20_000);
        byte[] records = [.. said.Chunk(10).SelectMany(piece => client.Seal(HandmadeTls.ApplicationData, piece))];

        foreach (byte one in records.AsSpan(0, 300).ToArray()) await client.SendRawAsync(new[] { one });
        await client.SendRawAsync(records.AsMemory(300));

        Sample.AssertSame(said, await client.ReceiveAsync(said.Length));
    }

    [Fact]
    public async Task What_comes_behind_a_bad_record_takes_the_alert_from_nobody()
    {
        using MegaphoneProcess both = await BothAsync();
        using HandmadeTls client = await ConnectAsync(both);
        byte[] bad = client.Seal(HandmadeTls.ApplicationData, "hello"u8);
        bad[^1] ^= 1;

        await client.SendRawAsync((byte[])[.. bad, .. new byte[40_000]]);

        // Behind it the connection ends: a reset, which a socket that is closed with unread input sends, would throw.
        Assert.Equal(BadRecordMac, await client.ReceiveAlertAsync());
        Assert.Equal(0, await client.Socket.ReceiveAsync(new byte[1]));
    }

    private static async Task UpdateKeysAsync(HandmadeTls client, int times, bool ask)
    {
        for (int update = 0; update < times; update++)
        {
            await client.SendAsync(HandmadeTls.Handshake, HandmadeTls.KeyUpdate(ask));
            client.UpdateOwnKeys();
        }
    }

    private Task<HandmadeTls> ConnectAsync(MegaphoneProcess both) =>
        HandmadeTls.ConnectAsync(both.Clients, _certificates.Files("keys").Key);

    private Task<MegaphoneProcess> BothAsync() =>
        MegaphoneProcess.BothAsync(["Ecm:Clients:0:Tls=direct", $"Ecm:Tls:Records={_records}", .. _certificates.Settings("localhost")]);

    /// <summary>Megaphone opens and seals the records.</summary>
    public sealed class WithOwnRecords() : TlsTurnTests("own");

    /// <summary>OpenSSL does.</summary>
    public sealed class WithOpenSslRecords() : TlsTurnTests("openssl");
}
