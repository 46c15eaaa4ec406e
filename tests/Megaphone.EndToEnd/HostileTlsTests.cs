using System.Net.Sockets;

namespace Megaphone.EndToEnd;

/// <summary>
/// A peer that has made its handshake, and then sends what may not be sent: it gets the right alert, the right reason is counted, and nobody else
/// notices.
/// </summary>
/// <remarks>The two record layers answer some of it with different alerts. Both are right: what differs, and why, stands with the row.</remarks>
public sealed class HostileTlsTests(TlsPeerServer server) : IClassFixture<TlsPeerServer>
{
    private const byte ChangeCipherSpec = 20, Alert = HandmadeTls.Alert, Handshake = HandmadeTls.Handshake, Data = HandmadeTls.ApplicationData;

    /// <summary>Alerts of RFC 8446, section 6, and RFC 5246, section 7.2.</summary>
    private const byte CloseNotify = 0, UnexpectedMessage = 10, BadRecordMac = 20, RecordOverflow = 22, IllegalParameter = 47, DecodeError = 50,
        ProtocolVersion = 70, InternalError = 80;

    /// <summary>The longest content of a record.</summary>
    private const int MaxContentBytes = 16 << 10;

    /// <summary>What is sealed and sent with TLS 1.3.</summary>
    private static readonly Dictionary<string, Offence> Sealed13 = new()
    {
        ["change_cipher_spec"] = new(ChangeCipherSpec, [1], UnexpectedMessage),
        ["a heartbeat"] = new(24, [1], UnexpectedMessage),
        ["an unknown type"] = new(99, [1], UnexpectedMessage),
        ["no type"] = new(0, [], UnexpectedMessage),
        ["no type, and zeros"] = new(0, new byte[100], UnexpectedMessage),
        ["an empty handshake record"] = new(Handshake, [], UnexpectedMessage),
        ["a client hello"] = new(Handshake, [1, 0, 0, 0], UnexpectedMessage),
        ["a ticket"] = new(Handshake, [4, 0, 0, 0], UnexpectedMessage),
        ["a certificate"] = new(Handshake, [11, 0, 0, 0], UnexpectedMessage),
        ["a request for a certificate"] = new(Handshake, [13, 0, 0, 0], UnexpectedMessage),
        ["finished"] = new(Handshake, [20, 0, 0, 0], UnexpectedMessage),
        ["an unknown message"] = new(Handshake, [77, 0, 0, 0], UnexpectedMessage),
        ["a key update that asks for something else"] = new(Handshake, [24, 0, 0, 1, 2], IllegalParameter),
        ["a key update of no length"] = new(Handshake, [24, 0, 0, 0], DecodeError),

        // "A message which cannot be parsed" is a decode_error (RFC 8446, section 6). OpenSSL thinks of a field's value.
        ["a key update of length two"] = new(Handshake, [24, 0, 0, 2, 0, 0], DecodeError, OfOpenSsl: IllegalParameter),
        ["a key update and more"] = new(Handshake, [24, 0, 0, 1, 0, 24], UnexpectedMessage),
        ["an empty alert"] = new(Alert, [], UnexpectedMessage),

        // The same with alerts: OpenSSL thinks of a message that may not come.
        ["half an alert"] = new(Alert, [2], DecodeError, OfOpenSsl: UnexpectedMessage),
        ["an alert and a half"] = new(Alert, [2, 40, 2], DecodeError, OfOpenSsl: UnexpectedMessage),
        ["a byte too many"] = new(Data, new byte[MaxContentBytes + 1], RecordOverflow),
    };

    /// <summary>What is sent as it is with TLS 1.3.</summary>
    private static readonly Dictionary<string, Offence> Raw13 = new()
    {
        ["change_cipher_spec in the clear"] = new(ChangeCipherSpec, [1], UnexpectedMessage),
        ["an alert in the clear"] = new(Alert, [2, 40], UnexpectedMessage),
        ["a client hello in the clear"] = new(Handshake, [1, 0, 0, 0], UnexpectedMessage),
        ["data in the clear"] = new(Data, "<message>hello</message>"u8.ToArray(), BadRecordMac),
        ["a tag and nothing else"] = new(Data, new byte[16], BadRecordMac),
        ["less than a tag"] = new(Data, new byte[15], BadRecordMac),
        ["a record of no length"] = new(Data, [], BadRecordMac),
        ["a record that is 257 bytes too long"] = new(Data, new byte[MaxContentBytes + 257], RecordOverflow),
        ["the longest record there could be"] = new(Data, new byte[ushort.MaxValue], RecordOverflow),
    };

    /// <summary>What is sealed and sent with TLS 1.2.</summary>
    private static readonly Dictionary<string, Offence> Sealed12 = new()
    {
        ["change_cipher_spec"] = new(ChangeCipherSpec, [1], UnexpectedMessage),
        ["a heartbeat"] = new(24, [1], UnexpectedMessage),
        ["an unknown type"] = new(99, [1], UnexpectedMessage),
        ["hello request"] = new(Handshake, [0, 0, 0, 0], UnexpectedMessage),
        ["a certificate"] = new(Handshake, [11, 0, 0, 0], UnexpectedMessage),
        ["finished"] = new(Handshake, [20, 0, 0, 12, .. new byte[12]], UnexpectedMessage),
        ["an empty alert"] = new(Alert, [], UnexpectedMessage),
        ["half an alert"] = new(Alert, [2], DecodeError, OfOpenSsl: UnexpectedMessage),
        ["an alert and a half"] = new(Alert, [2, 40, 2], DecodeError, OfOpenSsl: UnexpectedMessage),
        ["an alert of no level"] = new(Alert, [3, 40], IllegalParameter),
        ["a byte too many"] = new(Data, new byte[MaxContentBytes + 1], RecordOverflow),
    };

    /// <summary>What is sent as it is with TLS 1.2.</summary>
    private static readonly Dictionary<string, Offence> Raw12 = new()
    {
        ["data in the clear"] = new(Data, "<message>hello</message>"u8.ToArray(), BadRecordMac),
        ["a nonce, a tag and nothing else"] = new(Data, new byte[24], BadRecordMac),

        // OpenSSL takes its own decryption to have failed.
        ["less than a nonce and a tag"] = new(Data, new byte[23], BadRecordMac, OfOpenSsl: InternalError),
        ["a record of no length"] = new(Data, [], BadRecordMac, OfOpenSsl: InternalError),

        // It cannot have an allowed length inside, whatever it is. OpenSSL decrypts it first, and it is not what anybody has sealed.
        ["a record that is a byte too long"] = new(Data, new byte[MaxContentBytes + 25], RecordOverflow, OfOpenSsl: BadRecordMac),
        ["a record that no cipher makes"] = new(Data, new byte[MaxContentBytes + 2049], RecordOverflow),
    };

    public static TheoryData<string, string> SealedWithTls13 => RecordLayers.With(Sealed13.Keys);

    public static TheoryData<string, string> RawWithTls13 => RecordLayers.With(Raw13.Keys);

    public static TheoryData<string, string> SealedWithTls12 => RecordLayers.With(Sealed12.Keys);

    public static TheoryData<string, string> RawWithTls12 => RecordLayers.With(Raw12.Keys);

    /// <summary>Types of records other than of a handshake.</summary>
    public static TheoryData<string, byte> Types => RecordLayers.With<byte>(0, ChangeCipherSpec, Alert, Data, 24, 99);

    public static TheoryData<string> Layers => [.. RecordLayers.Names];

    /// <remarks>At the beginning, and behind data; the others only behind data, as the connection's state is the same.</remarks>
    [Theory]
    [MemberData(nameof(SealedWithTls13))]
    public Task With_TLS_1_3_a_sealed_record_that_breaks_a_rule_gets_its_alert(string layer, string name) =>
        AssertRefused13Async(layer, Sealed13[name], (client, offence) => client.Seal(offence.Type, offence.Content), alsoAtOnce: true);

    [Theory]
    [MemberData(nameof(RawWithTls13))]
    public Task With_TLS_1_3_a_record_that_nobody_has_sealed_gets_its_alert(string layer, string name) =>
        AssertRefused13Async(layer, Raw13[name], (_, offence) => offence.Raw);

    [Theory]
    [MemberData(nameof(SealedWithTls12))]
    public Task With_TLS_1_2_a_sealed_record_that_breaks_a_rule_gets_its_alert(string layer, string name) =>
        AssertRefused12Async(layer, Sealed12[name], (client, offence) => client.Seal(offence.Type, offence.Content));

    [Theory]
    [MemberData(nameof(RawWithTls12))]
    public Task With_TLS_1_2_a_record_that_nobody_has_sealed_gets_its_alert(string layer, string name) =>
        AssertRefused12Async(layer, Raw12[name], (_, offence) => offence.Raw);

    [Theory]
    [MemberData(nameof(Layers))]
    public async Task A_record_of_another_version_gets_its_alert_with_TLS_1_2_and_is_not_what_was_sealed_with_TLS_1_3(string layer)
    {
        byte[] Older(byte[] record)
        {
            record[2] = 1;
            return record;
        }

        // OpenSSL looks at what TLS 1.3 says "MUST be ignored for all purposes" (RFC 8446, section 5.1), and is authenticated (section 5.2).
        byte[] content = "old"u8.ToArray();
        Offence with13 = new(Data, content, BadRecordMac, OfOpenSsl: DecodeError), with12 = new(Data, content, ProtocolVersion);
        await AssertRefused13Async(layer, with13, (client, _) => Older(client.Seal(Data, content)));
        await AssertRefused12Async(layer, with12, (client, _) => Older(client.Seal(Data, content)));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public async Task A_record_of_another_type_may_not_come_into_the_middle_of_a_message(string layer, byte type)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        using HandmadeTls client = await Connect13Async(both);
        await client.SendAsync(Handshake, HandmadeTls.KeyUpdate(ask: false).AsSpan(0, 3));
        await client.SendAsync(type, [1, 0]);
        Assert.Equal(UnexpectedMessage, await client.ReceiveAlertAsync());
    }

    /// <remarks>"Any data received after a closure alert has been received MUST be ignored" (RFC 8446, section 6.1).</remarks>
    [Theory]
    [MemberData(nameof(Types))]
    public async Task Whatever_comes_behind_close_notify_is_ignored_and_the_other_direction_goes_on(string layer, byte type)
    {
        using TestBackend backend = new();
        using MegaphoneProcess both = await server.StartAsync(layer, backend.Setting);
        using HandmadeTls client = await Connect13Async(both);
        await client.SendAsync(Data, "hello"u8);
        using TestConnection session = await backend.AcceptAsync();
        await client.SendRawAsync((byte[])[.. client.Seal(Alert, [1, CloseNotify]), .. client.Seal(type, [1, 0]), .. new byte[100]]);
        Assert.Equal("hello", await session.ReceiveTextAsync(5));
        await session.ReceiveToEndAsync();

        await session.SendAsync("still here");
        Assert.Equal("still here"u8.ToArray(), await client.ReceiveAsync(10));
        session.EndSending();
        Assert.Equal(CloseNotify, await client.ReceiveAlertAsync());
        await both.HasClosedAsync(1, "ecm", "ended");
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public async Task The_longest_records_are_accepted(string layer)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        byte[] longest = Sample.Bytes(MaxContentBytes);
        using HandmadeTls client = await Connect13Async(both);
        foreach (int padding in (int[])[0, 1, 239])
        {
            // 2^14 + 256 with the most padding: the content, its type and the tag are the rest.
            await client.SendRawAsync(client.Seal(Data, longest, padding));
            Sample.AssertSame(longest, await client.ReceiveAsync(longest.Length));
        }

        using HandmadeTls12 older = await Connect12Async(both);
        await older.SendAsync(Data, longest);
        List<byte> echoed = [];
        while (echoed.Count < longest.Length) echoed.AddRange((await older.ReceiveRecordsAsync(1)).Single().Content);
        Sample.AssertSame(longest, [.. echoed]);
    }

    [Theory]
    [InlineData(RecordLayers.Own, new byte[] { 2, UnexpectedMessage })]
    // OpenSSL passes over it; so for all that is known it was an attempt to renegotiate, which ends in order.
    [InlineData(RecordLayers.OpenSsl, new byte[] { 1, CloseNotify })]
    public async Task With_TLS_1_2_an_empty_handshake_record_ends_the_client(string layer, byte[] alert)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        using HandmadeTls12 client = await Connect12Async(both);
        await client.SendAsync(Handshake, []);
        (byte type, byte[] content) = (await client.ReceiveRecordsAsync(1)).Single();
        Assert.Equal(Alert, type);
        Assert.Equal(alert, content);
    }

    [Theory]
    [MemberData(nameof(Layers))]
    public async Task A_fatal_alert_wants_no_answer(string layer)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        long before = await TlsErrorsAsync(both);
        using HandmadeTls client = await Connect13Async(both);
        await TalkAsync(client);
        await client.SendAsync(Alert, [2, 40]);
        await Assert.ThrowsAsync<EndOfStreamException>(client.ReceiveAlertAsync);
        using HandmadeTls12 older = await Connect12Async(both);
        await TalkAsync(older);
        await older.SendAsync(Alert, [2, 40]);
        Assert.Empty(await older.ReceiveRecordsAsync(int.MaxValue));
        await both.ReachesAsync(before + 2, "megaphone_sessions_closed_total", "role=ecm", "reason=tls_error");
    }

    /// <remarks>The ECM ends such a stream with last words, and finds the fault behind it in the same turn.</remarks>
    [Theory]
    [MemberData(nameof(Layers))]
    public async Task Nothing_follows_the_alert_for_a_record_that_comes_behind_a_stanza_that_is_refused(string layer)
    {
        using MegaphoneProcess both = await server.StartAsync(layer, "Ecm:Clients:0:Framing=stanza", "Ecm:Clients:1:Framing=stanza");
        byte[] header = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client'>"u8.ToArray();
        for (int round = 1; round <= 5; round++)
        {
            using HandmadeTls client = await Connect13Async(both);
            await client.SendAsync(Data, header);
            await client.ReceiveAsync(header.Length);
            await client.SendRawAsync((byte[])[.. client.Seal(Data, "<!DOCTYPE a>"u8), .. Raw13["data in the clear"].Raw]);
            await Assert.ThrowsAsync<EndOfStreamException>(async () =>
            {
                while (true) await client.ReceiveAlertAsync();
            });
            await both.ReachesAsync(round, "megaphone_sessions_closed_total", "role=ecm");
        }

        Assert.Empty(both.Complaints("internal error"));
        await both.StopAsync();
    }

    /// <remarks>The link's thread may be about to send when the reactor's finds the fault.</remarks>
    [Theory]
    [MemberData(nameof(Layers))]
    public async Task A_link_goes_on_when_its_session_has_got_a_fatal_alert_in_the_middle_of_what_it_is_sent(string layer)
    {
        using TestBackend backend = new();
        using MegaphoneProcess both = await server.StartAsync(layer, backend.Setting);
        for (int round = 0; round < 20; round++)
        {
            using HandmadeTls client = await Connect13Async(both);
            await client.SendAsync(Data, "hello"u8);
            using TestConnection session = await backend.AcceptAsync();
            Task sending = SendOnAsync(session), receiving = ReceiveOnAsync(client.Socket);
            await Task.Delay(5);
            await client.SendRawAsync((byte[])[.. client.Seal(Data, "hello"u8), .. Raw13["data in the clear"].Raw]);
            await BoundedWait.WithinAsync(Task.WhenAll(sending, receiving), "the session's end");
        }

        Assert.Empty(both.Complaints("internal error"));
        Assert.Equal(0, (await both.MetricsAsync())["megaphone_link_cuts_total", "role=ecm"]);
        await both.StopAsync();

        // Little at a time, and all of it is read: what waits for the kernel keeps the alert back.
        static async Task SendOnAsync(TestConnection session)
        {
            byte[] some = new byte[50];
            try
            {
                while (true) await session.SendAsync(some);
            }
            catch (SocketException)
            {
                // It is over.
            }
        }

        static async Task ReceiveOnAsync(Socket client)
        {
            byte[] some = new byte[64 << 10];
            try
            {
                while (await client.ReceiveAsync(some) > 0)
                {
                    // What it is does not matter.
                }
            }
            catch (SocketException)
            {
                // It is over.
            }
        }
    }

    private async Task AssertRefused13Async(string layer, Offence offence, Func<HandmadeTls, Offence, byte[]> make, bool alsoAtOnce = false)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        long before = await TlsErrorsAsync(both);
        using HonestEcho honest = await HonestEcho.BeginAsync(both);
        foreach (bool hasTalked in alsoAtOnce ? (bool[])[true, false] : [true])
        {
            using HandmadeTls client = await Connect13Async(both);
            if (hasTalked) await TalkAsync(client);
            await client.SendRawAsync(make(client, offence));
            Assert.Equal(offence.AlertOf(layer), await client.ReceiveAlertAsync());
        }

        // The one that had not said anything had no session.
        await both.ReachesAsync(before + 1, "megaphone_sessions_closed_total", "role=ecm", "reason=tls_error");
        await honest.AssertUnharmedAsync();
    }

    private async Task AssertRefused12Async(string layer, Offence offence, Func<HandmadeTls12, Offence, byte[]> make)
    {
        MegaphoneProcess both = await server.StartedAsync(layer);
        long before = await TlsErrorsAsync(both);
        using HonestEcho honest = await HonestEcho.BeginAsync(both);
        using HandmadeTls12 client = await Connect12Async(both);
        await TalkAsync(client);
        await client.SendRawAsync(make(client, offence));
        (byte type, byte[] content) = (await client.ReceiveRecordsAsync(1)).Single();
        Assert.Equal((Alert, 2, offence.AlertOf(layer)), (type, content[0], content[1]));
        await both.ReachesAsync(before + 1, "megaphone_sessions_closed_total", "role=ecm", "reason=tls_error");
        await honest.AssertUnharmedAsync();
    }

    private static async Task TalkAsync(HandmadeTls client)
    {
        await client.SendAsync(Data, "hello"u8);
        await client.ReceiveAsync(5);
    }

    private static async Task TalkAsync(HandmadeTls12 client)
    {
        await client.SendAsync(Data, "hello"u8);
        await client.ReceiveRecordsAsync(1);
    }

    private static async Task<long> TlsErrorsAsync(MegaphoneProcess process)
    {
        try
        {
            return (await process.MetricsAsync())["megaphone_sessions_closed_total", "role=ecm", "reason=tls_error"];
        }
        catch (KeyNotFoundException)
        {
            // No client has had that reason yet.
            return 0;
        }
    }

    private Task<HandmadeTls> Connect13Async(MegaphoneProcess both) => HandmadeTls.ConnectAsync(both.Clients, server.FileFor("keys"));

    private Task<HandmadeTls12> Connect12Async(MegaphoneProcess both) => HandmadeTls12.ConnectAsync(both.Clients, server.FileFor("keys"));

    /// <summary>What a peer may not send.</summary>
    /// <param name="Type">Type of the record; with TLS 1.3, if it is sealed, the one inside.</param>
    /// <param name="Content">Its content.</param>
    /// <param name="Alert">The alert for it.</param>
    /// <param name="OfOpenSsl">OpenSSL's, if it is another one.</param>
    private sealed record Offence(byte Type, byte[] Content, byte Alert, byte? OfOpenSsl = null)
    {
        public byte[] Raw => [Type, 3, 3, (byte)(Content.Length >> 8), (byte)Content.Length, .. Content];

        public byte AlertOf(string layer) => layer == RecordLayers.OpenSsl ? OfOpenSsl ?? Alert : Alert;
    }
}
