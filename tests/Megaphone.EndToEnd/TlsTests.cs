using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using System.Security.Authentication.ExtendedProtection;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>TLS that ends at the ECM, from the first byte on (XEP-0368).</summary>
public abstract class TlsTests : IDisposable
{
    private readonly string _records;

    /// <summary>The tests, with one of the two record layers.</summary>
    protected TlsTests(string records)
    {
        _records = records;
        Certificates.Issue("localhost", ["localhost"]);
    }

    private protected TestCertificates Certificates { get; } = new();

    public static TheoryData<SslProtocols> Versions => [SslProtocols.Tls12, SslProtocols.Tls13];

    public void Dispose()
    {
        Certificates.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task What_a_client_sends_over_TLS_is_echoed(SslProtocols version)
    {
        using MegaphoneProcess both = await BothAsync();
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients, version: version);

        Assert.Equal(version, client.Stream.SslProtocol);
        Assert.Equal("xmpp-client", client.Stream.NegotiatedApplicationProtocol.ToString());
        await client.AssertEchoesAsync();
        await both.HasClientsAsync(1);
        await both.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=full");
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Megabytes_pass_both_ways_at_once_byte_for_byte(SslProtocols version)
    {
        using MegaphoneProcess both = await BothAsync("Hub:Buffers:LowBytes=4096", "Hub:Buffers:HighBytes=65536");
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients, version: version);
        byte[] bytes = RandomNumberGenerator.GetBytes(8_000_000);

        Task sending = Task.Run(async () =>
        {
            for (int at = 0, piece = 1; at < bytes.Length; at += piece, piece = piece * 7 % 70_001 + 1)
                await client.SendAsync(bytes.AsMemory(at, Math.Min(piece, bytes.Length - at)));
        });
        byte[] back = await client.ReceiveAsync(bytes.Length);
        await BoundedWait.WithinAsync(sending, "all to be sent");

        Assert.True(bytes.AsSpan().SequenceEqual(back));
    }

    [Fact]
    public async Task A_client_that_does_not_read_for_a_while_loses_nothing()
    {
        using MegaphoneProcess both = await BothAsync();
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        byte[] bytes = RandomNumberGenerator.GetBytes(12_000_000);
        Task sending = client.SendAsync(bytes);
        await both.ReachesAtLeastAsync(1, "megaphone_pauses_total", "role=ecm");

        byte[] back = await client.ReceiveAsync(bytes.Length);
        Assert.True(bytes.AsSpan().SequenceEqual(back));
        await BoundedWait.WithinAsync(sending, "all to be sent");
    }

    [Fact]
    public async Task With_TLS_1_3_a_client_may_end_its_direction_and_still_receive()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Settings());
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TlsClient client = await TlsClient.ConnectAsync(ecm.Clients, version: SslProtocols.Tls13);
        await client.SendAsync("last words");
        Packet packet = await link.ReceiveAsync();
        Assert.Equal("last words", packet.Text);

        await client.EndSendingAsync();
        await link.AssertEndAsync(packet.Id);
        await link.SendAsync(packet.Id, "the answer");
        await link.SendEndAsync(packet.Id);

        Assert.Equal("the answer", await client.ReceiveTextAsync(10));
        await client.AssertEndsAsync();
        await ecm.HasClosedAsync(1, "ecm", "ended");
    }

    [Fact]
    public async Task With_TLS_1_2_the_end_of_one_direction_is_the_end_of_both()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Settings());
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TlsClient client = await TlsClient.ConnectAsync(ecm.Clients, version: SslProtocols.Tls12);
        await client.SendAsync("last words");
        ulong id = (await link.ReceiveAsync()).Id;

        await client.EndSendingAsync();

        await link.AssertEndAsync(id);
        await client.AssertEndsAsync();
        await ecm.HasClosedAsync(1, "ecm", "ended");
    }

    [Fact]
    public async Task The_servers_end_is_a_close_notify()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Settings());
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TlsClient client = await TlsClient.ConnectAsync(ecm.Clients);
        await client.SendAsync("hello");
        ulong id = (await link.ReceiveAsync()).Id;

        await link.SendEndAsync(id);

        await client.AssertEndsAsync();
        client.Dispose();
        await ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task A_connection_that_ends_without_close_notify_is_reported_as_truncated()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Settings());
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TlsClient client = await TlsClient.ConnectAsync(ecm.Clients);
        await client.SendAsync("and now I want to sa");
        ulong id = (await link.ReceiveAsync()).Id;

        client.Socket.Shutdown(SocketShutdown.Send);

        await link.AssertControlAsync("reset", id);
        await ecm.HasClosedAsync(1, "ecm", "truncated");
    }

    [Theory]
    [InlineData(2, 0)]
    [InlineData(5, 0)]
    [InlineData(5, 100)]
    public async Task A_record_that_is_cut_short_is_reported_as_truncated_and_not_passed_on(int header, int body)
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Settings());
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TlsClient client = await TlsClient.ConnectAsync(ecm.Clients), orderly = await TlsClient.ConnectAsync(ecm.Clients);
        await client.SendAsync("whole");
        ulong id = (await link.ReceiveAsync()).Id;
        await orderly.SendAsync("whole");
        ulong orderlyId = (await link.ReceiveAsync()).Id;

        // A thousand bytes are promised.
        byte[] record = [23, 3, 3, 1000 >> 8, 1000 & 255, .. new byte[body]];
        await client.Socket.SendAsync(record.AsMemory(0, header + body));
        client.Socket.Shutdown(SocketShutdown.Send);
        await link.AssertControlAsync("reset", id);
        await orderly.EndSendingAsync();
        await link.AssertEndAsync(orderlyId);
        await link.SendEndAsync(orderlyId);

        await ecm.HasClosedAsync(1, "ecm", "truncated");
        await ecm.HasClosedAsync(1, "ecm", "ended");
    }

    [Fact]
    public async Task A_record_that_was_tampered_with_ends_the_connection_and_is_counted()
    {
        using MegaphoneProcess both = await BothAsync();
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        await client.AssertEchoesAsync();

        await client.Socket.SendAsync((byte[])[23, 3, 3, 0, 32, .. new byte[32]]);

        await client.AssertIsGoneAsync();
        await both.HasClosedAsync(1, "ecm", "tls_error");
    }

    [Fact]
    public async Task Sessions_are_resumed_with_tickets()
    {
        using MegaphoneProcess both = await BothAsync();
        for (int i = 0; i < 2; i++)
        {
            string output = await OpenSslAsync("s_client", "-connect", $"{both.Clients}", "-servername", "localhost", "-alpn", "xmpp-client",
                i == 0 ? "-sess_out" : "-sess_in", Certificates.Files("session").Key);
            Assert.Contains(i == 0 ? "New, TLSv1.3" : "Reused, TLSv1.3", output, StringComparison.Ordinal);
        }

        await both.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=full");
        await both.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=resumed");
    }

    [Fact]
    public async Task The_server_is_told_what_ties_a_login_to_the_clients_TLS()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            hub.Address, [.. Settings(), "Ecm:Proxy=v2", "Ecm:Tls:ChannelBinding=true"]);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using ChildProcess client = ChildProcess.Start(
            ["openssl", "s_client", "-connect", $"{ecm.Clients}", "-tls1_3", "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"]);
        byte[] header = (await link.ReceiveAsync()).Content;

        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificateFromFile(Certificates.Files("localhost").Certificate);
        Assert.Equal(Convert.ToHexString(SHA256.HashData(certificate.RawData)), Field(header, 0xE2));
        Assert.Equal((await client.LineAsync("    Keying material: "))["    Keying material: ".Length..], Field(header, 0xE1));
        Assert.Equal("", Field(header, 0xE3));
    }

    [Fact]
    public async Task The_server_is_told_what_ties_a_login_to_TLS_1_2()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            hub.Address, [.. Settings(), "Ecm:Proxy=v2", "Ecm:Tls:ChannelBinding=true"]);
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");

        // The second goes on with the session of the first, and the server's is the first Finished message then.
        using TlsClient first = await CheckAsync("full"), second = await CheckAsync("resumed");

        async Task<TlsClient> CheckAsync(string result)
        {
            TlsClient client = await TlsClient.ConnectAsync(ecm.Clients, version: SslProtocols.Tls12);
            await ecm.ReachesAsync(1, "megaphone_ecm_handshakes_total", $"result={result}");
            byte[] header = (await link.ReceiveAsync()).Content;

            Assert.Equal(Binding(client, ChannelBindingKind.Unique, "tls-unique:"), Field(header, 0xE3));
            Assert.Equal(Binding(client, ChannelBindingKind.Endpoint, "tls-server-end-point:"), Field(header, 0xE2));

            // Of a connection with the extended master secret, as this is.
            Assert.Equal(2 * 32, Field(header, 0xE1).Length);
            return client;
        }
    }

    /// <summary>What .NET has for a channel binding, without what is in front of it, which ends with its name.</summary>
    private static string Binding(TlsClient client, ChannelBindingKind kind, string name)
    {
        using ChannelBinding binding = client.Stream.TransportContext!.GetChannelBinding(kind)!;
        byte[] bytes = new byte[binding.Size];
        Marshal.Copy(binding.DangerousGetHandle(), bytes, 0, bytes.Length);
        return Convert.ToHexString(bytes.AsSpan(bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(name)) + name.Length));
    }

    [Fact]
    public async Task Without_tickets_no_session_is_resumed()
    {
        using MegaphoneProcess both = await BothAsync("Ecm:Tls:Tickets=false");
        string output = await OpenSslAsync("s_client", "-connect", $"{both.Clients}", "-reconnect", "-tls1_2");
        Assert.DoesNotContain("Reused,", output, StringComparison.Ordinal);
        await both.ReachesAsync(0, "megaphone_ecm_handshakes_total", "result=resumed");
    }

    [Fact]
    public async Task A_client_may_update_its_keys_and_ask_for_ours()
    {
        using MegaphoneProcess both = await BothAsync();
        using ChildProcess client = ChildProcess.Start(
            ["openssl", "s_client", "-connect", $"{both.Clients}", "-tls1_3", "-brief"]);
        await client.WriteLineAsync("before");
        await client.LineAsync("before");
        int updates = 0;

        // s_client's commands: K asks for an update of ours in return, k does not.
        foreach (string command in (string[])["K", "k", "K"])
        {
            await client.WriteLineAsync(command);
            updates++;
            await BoundedWait.UntilAsync(() => client.Errors.Count(line => line == "KEYUPDATE") == updates, $"update {updates}");
            await client.WriteLineAsync($"after {updates}");
            await client.LineAsync($"after {updates}");
        }
    }

    [Fact]
    public async Task A_key_update_that_comes_in_two_records_counts_as_one()
    {
        using HandmadeSession session = await OpenAsync();
        (MegaphoneProcess ecm, LinkPeer link, HandmadeTls halting, ulong id) = (session.Ecm, session.Link, session.Client, session.Id);
        byte[] update = HandmadeTls.KeyUpdate(ask: true);
        await halting.SendAsync(HandmadeTls.Handshake, update.AsSpan(0, 4));
        await halting.SendAsync(HandmadeTls.Handshake, update.AsSpan(4));
        halting.UpdateOwnKeys();
        await halting.SendAsync(HandmadeTls.ApplicationData, "with new keys"u8);
        Assert.Equal("with new keys", (await link.ReceiveAsync()).Text);
        await link.SendAsync(id, "here, too");
        Assert.Equal("here, too", Encoding.ASCII.GetString(await halting.ReceiveAsync(9)));
    }

    [Fact]
    public async Task A_client_that_asks_for_many_key_updates_and_reads_nothing_waits_and_loses_nothing()
    {
        using HandmadeSession session = await OpenAsync();
        (MegaphoneProcess ecm, LinkPeer link, HandmadeTls asking, ulong askingId) = (session.Ecm, session.Link, session.Client, session.Id);
        using TlsClient other = await TlsClient.ConnectAsync(ecm.Clients);
        await other.SendAsync("other");
        ulong otherId = (await link.ReceiveAsync()).Id;

        // The kernel's buffer for this client is filled, so that a record of ours waits and there is no room for answers.
        Task<JsonElement> pause = link.ReceiveControlAsync();
        byte[] piece = Sample.Bytes(64 << 10);
        int pieces = 0;
        for (; pieces < 200 && !pause.IsCompleted; pieces++) await link.SendAsync(askingId, piece);
        Assert.Equal("pause", (await pause).GetProperty("op").GetString());
        for (int updates = 0; updates < 64; updates++)
        {
            await asking.SendAsync(HandmadeTls.Handshake, HandmadeTls.KeyUpdate(ask: true));
            asking.UpdateOwnKeys();
        }

        await asking.SendAsync(HandmadeTls.ApplicationData, "with new keys"u8);
        await link.SendAsync(otherId, "not held up");
        Assert.Equal("not held up", await other.ReceiveTextAsync(11));
        await ecm.Process.RestsAsync();

        byte[] all = await asking.ReceiveAsync(pieces * piece.Length);
        Assert.All(all.Chunk(piece.Length), received => Sample.AssertSame(piece, received));
        string[] said = [(await link.ReceiveAsync()).Text, (await link.ReceiveAsync()).Text];
        Assert.Contains("with new keys", said);
        Assert.Contains(said, text => text.Contains("\"resume\"", StringComparison.Ordinal));
        await link.SendAsync(askingId, "answered with new keys");
        Assert.Equal("answered with new keys", Encoding.ASCII.GetString(await asking.ReceiveAsync(22)));
        await ecm.ReachesAsync(0, "megaphone_buffered_bytes", "role=ecm");
    }

    [Fact]
    public async Task Many_key_updates_whose_answers_are_read_are_all_answered()
    {
        using MegaphoneProcess both = await BothAsync();
        using HandmadeTls client = await HandmadeTls.ConnectAsync(both.Clients, Certificates.Files("keys").Key);
        for (int updates = 0; updates < 200; updates++)
        {
            await client.SendAsync(HandmadeTls.Handshake, HandmadeTls.KeyUpdate(ask: true));
            client.UpdateOwnKeys();
            await client.SendAsync(HandmadeTls.ApplicationData, "still there"u8);
            Assert.Equal("still there", Encoding.ASCII.GetString(await client.ReceiveAsync(11)));
        }
    }

    [Fact]
    public async Task Renegotiation_is_refused_with_TLS_1_2()
    {
        using MegaphoneProcess both = await BothAsync();
        using TlsClient other = await TlsClient.ConnectAsync(both.Clients);
        using ChildProcess client = ChildProcess.Start(["openssl", "s_client", "-connect", $"{both.Clients}", "-tls1_2"]);
        await client.WriteLineAsync("before");
        await client.LineAsync("before");

        // s_client's command.
        await client.WriteLineAsync("R");

        Assert.NotEqual(0, await client.EndAsync());
        Assert.Contains(client.Errors, line => line.Contains("no renegotiation", StringComparison.Ordinal));
        await other.AssertEchoesAsync();
        await both.HasClientsAsync(1);
    }

    [Fact]
    public async Task An_ALPN_protocol_other_than_XMPP_is_not_selected()
    {
        using MegaphoneProcess both = await BothAsync();

        await Assert.ThrowsAsync<AuthenticationException>(() => TlsClient.ConnectAsync(both.Clients, alpn: "http/1.1"));

        await both.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=failed");
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client'>")]
    [InlineData("\0\0\0\0\0\0\0\0\0\0\0\0")]
    public async Task Anything_but_TLS_is_refused_and_counted(string text)
    {
        using MegaphoneProcess both = await BothAsync();
        using TlsClient client = await TlsClient.ConnectPlainAsync(both.Clients);
        await client.SendPlainAsync(text);

        await client.AssertIsGoneAsync();
        await both.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=failed");
        client.Dispose();
        await both.ReachesAsync(0, "megaphone_ecm_handshaking");
    }

    [Fact]
    public async Task A_stalled_handshake_delays_no_other_client_and_times_out()
    {
        using MegaphoneProcess both = await BothAsync("Ecm:Tls:MaxHandshakes=60", "Ecm:Tls:HandshakeTimeout=00:00:03");
        int descriptors = await both.IdleDescriptorsAsync();
        List<TlsClient> stalled = [];
        for (int i = 0; i < 50; i++)
        {
            stalled.Add(await TlsClient.ConnectPlainAsync(both.Clients));
            // The beginning of a ClientHello, or nothing.
            if (i % 2 == 0) await stalled[i].Socket.SendAsync((byte[])[22, 3, 1, 1, 0, 1]);
        }

        await both.ReachesAsync(50, "megaphone_ecm_handshaking");
        using (TlsClient client = await TlsClient.ConnectAsync(both.Clients)) await client.AssertEchoesAsync();

        foreach (TlsClient client in stalled)
        {
            await client.AssertIsGoneAsync();
            client.Dispose();
        }

        await both.ReachesAsync(50, "megaphone_ecm_handshakes_total", "result=timeout");
        await both.DescriptorsAreBackToAsync(descriptors);
    }

    [Fact]
    public async Task Clients_above_MaxHandshakes_wait()
    {
        using MegaphoneProcess both = await BothAsync("Ecm:Tls:MaxHandshakes=2", "Ecm:Tls:HandshakeTimeout=00:00:02");
        using TlsClient first = await TlsClient.ConnectPlainAsync(both.Clients), second = await TlsClient.ConnectPlainAsync(both.Clients);

        // Those who say nothing would have less time.
        foreach (TlsClient client in new[] { first, second }) await client.Socket.SendAsync((byte[])[22, 3, 1, 1, 0, 1]);
        await both.ReachesAsync(2, "megaphone_ecm_handshaking");

        using TlsClient third = await TlsClient.ConnectAsync(both.Clients);
        await third.AssertEchoesAsync();
        await both.ReachesAsync(2, "megaphone_ecm_handshakes_total", "result=timeout");
    }

    [Fact]
    public async Task Data_sent_with_the_end_of_the_handshake_is_read_at_once()
    {
        using MegaphoneProcess both = await BothAsync();
        for (int i = 0; i < 20; i++)
        {
            using ChildProcess client = ChildProcess.Start(
                ["openssl", "s_client", "-connect", $"{both.Clients}", "-tls1_3", "-quiet", "-no_ign_eof"]);
            await client.WriteLineAsync("at once");
            await client.LineAsync("at once");
        }
    }

    [Fact]
    public async Task A_stopping_ECM_ends_its_clients_TLS_in_order()
    {
        using MegaphoneProcess both = await BothAsync();
        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        await client.AssertEchoesAsync();

        await both.StopAsync();

        await client.AssertEndsAsync();
    }

    /// <summary>A field of a PROXY header of version 2 with IPv4 addresses, in hexadecimal digits.</summary>
    private static string Field(ReadOnlySpan<byte> header, byte type)
    {
        for (ReadOnlySpan<byte> rest = header[28..]; !rest.IsEmpty;)
        {
            int length = BinaryPrimitives.ReadUInt16BigEndian(rest[1..]);
            if (rest[0] == type) return Convert.ToHexString(rest.Slice(3, length));
            rest = rest[(3 + length)..];
        }

        return "";
    }

    private static async Task<string> OpenSslAsync(params string[] arguments)
    {
        using ChildProcess process = ChildProcess.Start(["openssl", .. arguments]);
        // A ticket of TLS 1.3 follows the handshake.
        await process.WriteLineAsync("ping");
        await process.LineAsync("ping");
        await process.WriteLineAsync("Q");
        await process.EndAsync();
        return string.Join('\n', process.Output);
    }

    private protected Task<HandmadeSession> OpenAsync(params string[] settings) =>
        HandmadeSession.OpenAsync(Certificates.Files("keys").Key, [.. Settings(), .. settings]);

    private protected Task<MegaphoneProcess> BothAsync(params string[] settings) => MegaphoneProcess.BothAsync([.. Settings(), .. settings]);

    private protected string[] Settings() =>
        ["Ecm:Clients:0:Tls=direct", $"Ecm:Tls:Records={_records}", .. Certificates.Settings("localhost")];
}
