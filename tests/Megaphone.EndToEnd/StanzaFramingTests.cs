using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>Stanza framing: every packet is one piece of a client's XMPP stream (docs/protocol.md, section 4).</summary>
public sealed partial class StanzaFramingTests
{
    private const string Header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
    private const string End = "</stream:stream>";
    private const string Framing = "Ecm:Clients:0:Framing=stanza";

    [Fact]
    public async Task The_hello_announces_stanza_framing()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Framing);
        using LinkPeer link = await hub.AcceptPlainAsync();

        Assert.Equal("stanza", (await link.ReceiveControlAsync()).GetProperty("framing").GetString());
    }

    [Fact]
    public async Task Each_piece_of_a_stream_is_a_packet()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync($"<?xml version='1.0'?>\n{Header}<auth mechanism='PLAIN'>AGEAYg==</auth>\n");
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.AssertPieceAsync("<auth mechanism='PLAIN'>AGEAYg==</auth>", id);

        // The stream restarts after SASL.
        await client.SendAsync($"<?xml version='1.0'?>{Header}<iq id='1'/><message><body>a > b <![CDATA[</message>]]></body></message> {End}\n");
        await setup.AssertPieceAsync(Header, id);
        await setup.AssertPieceAsync("<iq id='1'/>", id);
        await setup.AssertPieceAsync("<message><body>a > b <![CDATA[</message>]]></body></message>", id);
        await setup.AssertPieceAsync(End, id);
        client.EndSending();
        await setup.Link.AssertEndAsync(id);
    }

    [Fact]
    public async Task What_the_server_sends_passes_unchanged()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header);
        ulong id = await setup.AssertPieceAsync(Header);

        await setup.Link.SendAsync(id, "<half");
        Assert.Equal("<half", await client.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task A_stream_sent_byte_by_byte_makes_the_same_packets()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        string stream = $"{Header}<message to='a'><body>b</body></message> <presence/>{End}";
        foreach (char letter in stream)
        {
            await client.SendAsync($"{letter}");
            await Task.Delay(1);
        }

        ulong id = await setup.AssertPieceAsync(Header);
        await setup.AssertPieceAsync("<message to='a'><body>b</body></message>", id);
        await setup.AssertPieceAsync("<presence/>", id);
        await setup.AssertPieceAsync(End, id);
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
    }

    [Fact]
    public async Task White_space_between_stanzas_is_dropped_at_the_ECM()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(" \n");
        await setup.Link.AssertStaysSilentAsync();
        Assert.Equal(0, (await setup.Ecm.MetricsAsync())["megaphone_sessions_opened_total", "role=ecm"]);

        await client.SendAsync(Header);
        ulong id = await setup.AssertPieceAsync(Header);

        // The hello and the header; what was sent is counted behind the sending.
        const int Packets = 2;
        await setup.Ecm.ReachesAsync(Packets, "megaphone_link_packets_total", "role=ecm", "direction=out");
        for (int i = 0; i < 50; i++)
        {
            await client.SendAsync(" ");
            await Task.Delay(5);
        }

        await setup.Link.AssertStaysSilentAsync();
        Assert.Equal(Packets, (await setup.Ecm.MetricsAsync())["megaphone_link_packets_total", "role=ecm", "direction=out"]);
        await client.SendAsync(" <presence/>");
        await setup.AssertPieceAsync("<presence/>", id);
    }

    [Fact]
    public async Task Stanzas_of_every_size_up_to_the_limit_arrive_whole()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Clients:0:MaxStanzaBytes=262144");
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header);
        ulong id = await setup.AssertPieceAsync(Header);
        foreach (int size in new[] { 16, 1_000, 16_383, 16_384, 16_385, 65_536, 200_000, 262_144 })
        {
            string stanza = Stanza(size);
            await client.SendAsync(stanza + stanza);
            await setup.AssertPieceAsync(stanza, id);
            await setup.AssertPieceAsync(stanza, id);
        }

        await client.SendAsync(Stanza(262_145));
        await AssertRefusedAsync(client, "policy-violation");
        await setup.AssertResetAsync(id);
    }

    [Fact]
    public async Task Ten_thousand_of_the_shortest_stanzas_at_once_fit()
    {
        using Setup setup = await Setup.StartAsync("Ecm:MaxPacketBytes=32000", "Ecm:Link:RingBytes=65536", "Ecm:Clients:0:MaxStanzaBytes=16384");
        using TestConnection client = await setup.ConnectAsync();
        Task sending = client.SendAsync(Header + string.Concat(Enumerable.Repeat("<a/>", 10_000)) + Stanza(16_384));
        ulong id = await setup.AssertPieceAsync(Header);
        for (int i = 0; i < 10_000; i++) await setup.AssertPieceAsync("<a/>", id);
        await setup.AssertPieceAsync(Stanza(16_384), id);
        await sending;
    }

    [Fact]
    public async Task Many_streams_cut_at_random_share_a_small_ring_and_lose_nothing()
    {
        using Setup setup = await Setup.StartAsync("Ecm:MaxPacketBytes=32000", "Ecm:Link:RingBytes=65536", "Ecm:Clients:0:MaxStanzaBytes=16384");
        Dictionary<string, List<string>> said = [];
        List<Task> saying = [];
        for (int number = 0; number < 20; number++)
        {
            Random random = new(number);
            List<string> pieces = [$"<stream:stream id='{number}'>"];
            while (pieces.Count < 100) pieces.Add(Stanza(random.Next(20, 1 << random.Next(5, 15))));
            pieces.Add(End);
            said.Add(pieces[0], pieces);
            saying.Add(SendMessageAsync(string.Join(new string(' ', random.Next(3)), pieces), random));
        }

        Dictionary<ulong, List<string>> heard = [];
        for (int left = said.Values.Sum(pieces => pieces.Count); left > 0;)
        {
            Packet packet = await setup.Link.ReceiveAsync();
            if (packet.IsEnd) continue;
            if (!heard.ContainsKey(packet.Id)) heard.Add(packet.Id, []);
            heard[packet.Id].Add(packet.Text);
            left--;
        }

        await Task.WhenAll(saying);
        Assert.Equal(20, heard.Count);
        Assert.All(heard.Values, pieces => Assert.Equal(said[pieces[0]], pieces));
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");

        async Task SendMessageAsync(string stream, Random random)
        {
            using TestConnection client = await setup.ConnectAsync();
            byte[] bytes = Encoding.ASCII.GetBytes(stream);
            for (int at = 0, length; at < bytes.Length; at += length)
            {
                length = Math.Min(random.Next(1, 1 << random.Next(1, 16)), bytes.Length - at);
                await client.SendAsync(bytes.AsMemory(at, length));
            }
        }
    }

    [Fact]
    public async Task Each_listener_has_a_limit_of_its_own()
    {
        using Setup setup = await Setup.StartAsync(
            "Ecm:Clients:0:MaxStanzaBytes=20000",
            "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Framing=stanza", "Ecm:Clients:1:MaxStanzaBytes=10000");
        foreach ((int listener, int limit) in new[] { (0, 20_000), (1, 10_000) })
        {
            using TestConnection client = await TestConnection.ConnectAsync(setup.Ecm.ClientListeners[listener]);
            await client.SendAsync(Header + Stanza(limit));
            ulong id = await setup.AssertPieceAsync(Header);
            await setup.AssertPieceAsync(Stanza(limit), id);
            await client.SendAsync(Stanza(limit + 1));
            await AssertRefusedAsync(client, "policy-violation");
            await setup.AssertResetAsync(id);
        }
    }

    [Fact]
    public async Task A_stanza_longer_than_the_other_end_accepts_is_refused()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Framing);
        using LinkPeer link = await hub.AcceptPlainAsync();
        await link.ReceiveControlAsync();
        await link.SendControlAsync("""{"op":"welcome","version":1,"name":"test","maxPacket":1032,"keepAlive":15}""");
        await ecm.HasLinksAsync(1, "ecm");
        using Setup setup = new(hub, ecm, link);
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + Stanza(1_000) + Stanza(1_001));

        ulong id = await setup.AssertPieceAsync(Header);
        await setup.AssertPieceAsync(Stanza(1_000), id);
        await AssertRefusedAsync(client, "policy-violation");
        await setup.AssertResetAsync(id);
    }

    [Theory]
    [InlineData("<!-- x -->", "restricted-xml")]
    [InlineData("<?php x ?>", "restricted-xml")]
    [InlineData("<!DOCTYPE x [<!ENTITY a 'b'>]>", "restricted-xml")]
    [InlineData("text", "bad-format")]
    [InlineData("<a></b", "")]
    [InlineData("<a <", "not-well-formed")]
    [InlineData("</a>", "not-well-formed")]
    public async Task A_client_at_fault_gets_its_stream_error_and_the_server_a_reset(string fault, string condition)
    {
        using Setup setup = await Setup.StartAsync("Logging:LogLevel:Megaphone.Ecm=Debug");
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + fault);
        ulong id = await setup.AssertPieceAsync(Header);
        if (condition.Length == 0)
        {
            // Input that may still become valid is not refused.
            await client.AssertStaysSilentAsync();
            return;
        }

        await AssertRefusedAsync(client, condition);
        await setup.AssertResetAsync(id);
        await setup.Ecm.HasClosedAsync(1, "ecm", "stream_error");
        await setup.Ecm.ReachesAsync(1, "megaphone_ecm_stream_errors_total", $"condition={condition}");
        await BoundedWait.UntilAsync(() => setup.Ecm.LogLines($"is refused: {condition}") == 1, "one line in the log");

        // What the client still sends is discarded, and its end is not sent.
        await client.SendAsync("<iq/>");
        client.Dispose();
        await setup.Ecm.HasClientsAsync(0);
        await setup.Link.AssertStaysSilentAsync();
        Assert.Equal(1, (await setup.Ecm.MetricsAsync())["megaphone_sessions_closed_total", "role=ecm"]);
    }

    [Theory]
    [InlineData("<a xmlns='urn:xmpp:sm:3' h='7'/>", " ")]
    [InlineData(" ", "<presence/>")]
    [InlineData("garbage &", "< and more")]
    [InlineData("<stream:stream>", "<presence/>")]
    public async Task What_a_client_sends_after_its_closing_tag_is_discarded(string atOnce, string later)
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + End + atOnce);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.AssertPieceAsync(End, id);
        for (int i = 0; i < 3; i++) await client.SendAsync(later);
        await setup.Ecm.ReachesAsync(1, "megaphone_dropped_packets_total", "role=ecm", "reason=stream_ended");

        // The server has its last words, and the connection ends in order.
        await setup.Link.SendAsync(id, End);
        await setup.Link.SendEndAsync(id);
        Assert.Equal(End, Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
        client.EndSending();
        await setup.Link.AssertEndAsync(id);
        await setup.Ecm.HasClosedAsync(1, "ecm", "ended");
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_stream_errors_total");
        await setup.Ecm.ReachesAsync(1, "megaphone_dropped_packets_total", "role=ecm");
    }

    [Fact]
    public async Task White_space_after_the_closing_tag_is_not_counted_as_dropped()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + End + "\n");
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.AssertPieceAsync(End, id);
        await client.SendAsync(" ");
        client.EndSending();
        await setup.Link.AssertEndAsync(id);
        await setup.Ecm.ReachesAsync(0, "megaphone_dropped_packets_total", "role=ecm");
    }

    [Fact]
    public async Task A_client_that_floods_after_its_closing_tag_takes_no_memory_and_is_closed_at_the_half_open_timeout()
    {
        using Setup setup = await Setup.StartAsync("Ecm:HalfOpenTimeout=00:00:01");
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + End);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.AssertPieceAsync(End, id);
        await client.SendAsync("<never");
        await client.SendAsync(Sample.Bytes(8 << 20));
        Assert.Equal(0, (await setup.Ecm.MetricsAsync())["megaphone_ecm_incomplete_bytes"]);

        await setup.Link.SendEndAsync(id);
        await setup.Ecm.HasClosedAsync(1, "ecm", "half_open_timeout");
        await client.AssertIsGoneAsync();
    }

    [Fact]
    public async Task A_client_that_has_got_the_servers_header_gets_no_second_one()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.Link.SendAsync(id, "<stream:stream>");
        Assert.Equal("<stream:stream>", await client.ReceiveTextAsync(15));

        await client.SendAsync("<!");
        await client.SendAsync("--");
        Assert.Equal(ErrorAndEnd("restricted-xml"), Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
        await setup.AssertResetAsync(id);
    }

    [Fact]
    public async Task A_client_that_does_not_speak_XMPP_is_refused_without_a_session()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");

        await AssertRefusedAsync(client, "not-well-formed");
        await setup.Ecm.ReachesAsync(1, "megaphone_ecm_stream_errors_total", "condition=not-well-formed");
        Assert.Equal(0, (await setup.Ecm.MetricsAsync())["megaphone_sessions_opened_total", "role=ecm"]);
        client.Dispose();
        await setup.Ecm.HasClientsAsync(0);
        await setup.Link.AssertStaysSilentAsync();
    }

    [Fact]
    public async Task A_client_gets_its_error_even_if_it_has_sent_much_more_and_ended()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Clients:0:MaxStanzaBytes=10000");
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + Stanza(500_000));
        client.EndSending();

        await setup.AssertPieceAsync(Header);
        await AssertRefusedAsync(client, "policy-violation");
        await setup.Ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task A_slow_client_gets_everything_that_the_server_sent_before_its_error()
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await TestConnection.ConnectAsync(setup.Ecm.Clients, receiveBuffer: 16 << 10);
        await client.SendAsync(Header);
        ulong id = await setup.AssertPieceAsync(Header);
        byte[] said = Sample.Bytes(4 << 20);
        const int Packet = 64 << 10;
        long before = (await setup.Ecm.MetricsAsync())["megaphone_link_packets_total", "role=ecm", "direction=in"];
        for (int at = 0; at < said.Length; at += Packet) await setup.Link.SendAsync(id, said.AsMemory(at, Packet));
        await setup.Link.AssertControlAsync("pause", id);

        // What comes behind the end of the session is dropped.
        await setup.Ecm.ReachesAtLeastAsync(before + said.Length / Packet, "megaphone_link_packets_total", "role=ecm", "direction=in");
        await client.SendAsync("<!-- x -->");
        await setup.AssertResetAsync(id);
        Sample.AssertSame([.. said, .. Encoding.ASCII.GetBytes(ErrorAndEnd("restricted-xml"))], await client.ReceiveToEndAsync());
        client.Dispose();
        await setup.Ecm.HasClientsAsync(0);
        await setup.Ecm.ReachesAsync(0, "megaphone_buffered_bytes");
    }

    [Fact]
    public async Task A_refused_client_that_does_not_disconnect_is_closed_at_the_half_open_timeout()
    {
        using Setup setup = await Setup.StartAsync("Ecm:HalfOpenTimeout=00:00:01");
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync("x");
        await AssertRefusedAsync(client, "not-well-formed");
        await setup.Ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task On_a_link_without_control_the_server_gets_the_empty_packet()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, Framing, "Ecm:Link:Control=false");
        using LinkPeer link = await hub.AcceptPlainAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using Setup setup = new(hub, ecm, link);
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + "<?php");

        ulong id = await setup.AssertPieceAsync(Header);
        await link.AssertEndAsync(id);
        await AssertRefusedAsync(client, "restricted-xml");
        client.Dispose();
        await ecm.HasClientsAsync(0);
        await link.AssertStaysSilentAsync();
    }

    [Theory]
    [InlineData("v1")]
    [InlineData("v2")]
    public async Task A_PROXY_header_is_a_packet_of_its_own_before_the_stream(string proxy)
    {
        using Setup setup = await Setup.StartAsync($"Ecm:Proxy={proxy}");
        using TestConnection client = await setup.ConnectAsync();
        Packet first = await setup.Link.ReceiveAsync();
        Assert.StartsWith(proxy == "v1" ? "PROXY TCP4 " : "\r\n\r\n\0\r\nQUIT\n", first.Text, StringComparison.Ordinal);

        await client.SendAsync(Header);
        await setup.AssertPieceAsync(Header, first.Id);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_incomplete_stanza_is_dropped_and_counted(bool inOrder)
    {
        using Setup setup = await Setup.StartAsync();
        using TestConnection client = await setup.ConnectAsync();
        await client.SendAsync(Header + "<message><body>I never");
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.Ecm.ReachesAsync(256, "megaphone_ecm_incomplete_bytes");

        if (inOrder)
        {
            client.EndSending();
            await setup.Link.AssertEndAsync(id);
        }
        else
        {
            client.Abort();
            await setup.AssertResetAsync(id, "socket_error");
        }

        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
        await setup.Ecm.ReachesAsync(1, "megaphone_dropped_packets_total", "role=ecm", "reason=incomplete");
    }

    [Fact]
    public async Task Memory_for_incomplete_stanzas_is_bounded_and_freed_and_the_last_quarter_is_for_short_ones()
    {
        const int Share = 64 << 10, Long = 12;
        using Setup setup = await Setup.StartAsync(logins: true, "Ecm:IncompleteBytes=1048576");
        List<TestConnection> clients = [];
        for (int i = 0; i < Long; i++)
        {
            clients.Add(await setup.ConnectAsync());
            await setup.LogInAsync(clients[i]);
            await clients[i].SendAsync(Stanza(Share)[..^5]);
        }

        await setup.Ecm.ReachesAsync(Long * Share, "megaphone_ecm_incomplete_bytes");
        using TestConnection another = await setup.ConnectAsync();
        ulong id = await setup.LogInAsync(another);
        await another.SendAsync(Stanza(Share)[..^5]);
        await AssertRefusedAsync(another, "resource-constraint");
        await setup.AssertResetAsync(id);
        using TestConnection stranger = await setup.ConnectAsync();
        await stranger.SendAsync(Header + "<a>");
        id = await setup.AssertPieceAsync(Header);
        await AssertRefusedAsync(stranger, "resource-constraint");
        await setup.AssertResetAsync(id);

        // The others are well.
        using TestConnection modest = await setup.ConnectAsync();
        id = await setup.LogInAsync(modest);
        await modest.SendAsync("<a>");
        await setup.Ecm.ReachesAsync((Long * Share) + 256, "megaphone_ecm_incomplete_bytes");
        await modest.SendAsync("</a>");
        await setup.AssertPieceAsync("<a></a>", id);
        await clients[0].SendAsync(Stanza(Share)[^5..]);
        await setup.AssertPieceAsync(Stanza(Share));
        await setup.Ecm.ReachesAsync((Long - 1) * Share, "megaphone_ecm_incomplete_bytes");
        clients.ForEach(client => client.Abort());
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
    }

    [Fact]
    public async Task A_thousand_clients_with_half_a_stanza_each_leave_nothing_behind_however_they_end()
    {
        using Setup setup = await Setup.StartAsync("Ecm:CloseRate=100000");
        int idle = await setup.Ecm.IdleDescriptorsAsync();
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(setup.Ecm.Clients, 1_000);
        for (int i = 0; i < clients.Count; i++) await clients[i].SendAsync($"{Header}<message id='{i}'>");
        await setup.Ecm.ReachesAsync(256_000, "megaphone_ecm_incomplete_bytes");
        HashSet<ulong> ids = [];
        for (int i = 0; i < clients.Count; i++) ids.Add(await setup.AssertPieceAsync(Header));
        Assert.Equal(1_000, ids.Count);

        // A quarter each: in order, aborted, reset by the server, and those whose link is lost.
        for (int i = 0; i < 250; i++) clients[i].Dispose();
        for (int i = 250; i < 500; i++) clients[i].Abort();
        await setup.Ecm.ReachesAsync(500 * 256, "megaphone_ecm_incomplete_bytes");
        List<ulong> gone = [];
        while (gone.Count < 500)
        {
            Packet packet = await setup.Link.ReceiveAsync();
            gone.Add(packet.Id != 0 ? packet.Id : ulong.Parse(packet.Json.GetProperty("id").GetString()!, CultureInfo.InvariantCulture));
        }

        foreach (ulong id in ids.Except(gone).Take(250)) await setup.Link.SendControlAsync($$"""{"op":"reset","id":"{{id}}","reason":"test"}""");
        await setup.Ecm.ReachesAsync(250 * 256, "megaphone_ecm_incomplete_bytes");
        setup.Link.Abort();
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
        await setup.Ecm.ReachesAsync(1_000, "megaphone_dropped_packets_total", "role=ecm", "reason=incomplete");
        clients.ForEach(client => client.Dispose());
        await setup.Ecm.HasClientsAsync(0);
        await setup.Ecm.DescriptorsAreBackToAsync(idle);
    }

    [Fact]
    public async Task A_hub_carries_stanzas_as_it_carries_bytes()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(Framing);
        using TestConnection client = await TestConnection.ConnectAsync(both.Clients);
        await client.SendAsync($"{Header} <a/> \n{End}");
        client.EndSending();
        Assert.Equal($"{Header}<a/>{End}", Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
    }

    [GeneratedRegex(
        "^<\\?xml version='1.0'\\?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        + "id='[0-9a-f]{16}' version='1.0'>$")]
    private static partial Regex OwnHeader();

    private static string ErrorAndEnd(string condition) =>
        $"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";

    /// <summary>Reads everything that the client gets: a header, as nothing has been sent to it, its error, and the end in order.</summary>
    private static async Task AssertRefusedAsync(TestConnection client, string condition)
    {
        string heard = Encoding.ASCII.GetString(await client.ReceiveToEndAsync());
        string end = ErrorAndEnd(condition);
        Assert.EndsWith(end, heard, StringComparison.Ordinal);
        Assert.Matches(OwnHeader(), heard[..^end.Length]);
    }

    private static string Stanza(int size) => $"<a b='>'>{new string('x', size - 13)}</a>";

    /// <summary>An ECM that frames by stanza, and its link in the test's hands.</summary>
    private sealed record Setup(TestHub Hub, MegaphoneProcess Ecm, LinkPeer Link) : IDisposable
    {
        public static Task<Setup> StartAsync(params string[] settings) => StartAsync(logins: false, settings);

        /// <summary>Nobody logs in unless a test says so, and stanzas may be long all the same.</summary>
        public static async Task<Setup> StartAsync(bool logins, params string[] settings)
        {
            TestHub hub = new();
            MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, [Framing, "Ecm:Limits:BeforeLogin:StanzaBytes=16M", .. settings]);
            LinkPeer link = await hub.AcceptAsync(logins: logins);
            await ecm.HasLinksAsync(1, "ecm");
            return new Setup(hub, ecm, link);
        }

        public Task<TestConnection> ConnectAsync() => TestConnection.ConnectAsync(Ecm.Clients);

        /// <summary>Has a client begin its stream, and the server say that it has logged in.</summary>
        public async Task<ulong> LogInAsync(TestConnection client)
        {
            await client.SendAsync(Header);
            ulong id = await AssertPieceAsync(Header);
            long before = (await Ecm.MetricsAsync())["megaphone_clients_logged_in"];
            await Link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}"]}""");
            await Ecm.ReachesAsync(before + 1, "megaphone_clients_logged_in");
            return id;
        }

        /// <summary>Asserts that the next packet is this piece, of this session if one is given.</summary>
        public async Task<ulong> AssertPieceAsync(string piece, ulong? id = null)
        {
            Packet packet = await Link.ReceiveAsync();
            Assert.Equal(piece, packet.Text);
            Assert.NotEqual(0UL, packet.Id);
            if (id is not null) Assert.Equal(id, packet.Id);
            return packet.Id;
        }

        /// <summary>Asserts that the next packet resets this session, for this reason.</summary>
        public async Task AssertResetAsync(ulong id, string reason = "stream_error")
        {
            JsonElement reset = await Link.ReceiveControlAsync();
            Assert.Equal(
                ("reset", id.ToString(CultureInfo.InvariantCulture), reason),
                (reset.GetProperty("op").GetString(), reset.GetProperty("id").GetString(), reset.GetProperty("reason").GetString()));
        }

        public void Dispose()
        {
            Link.Dispose();
            Ecm.Dispose();
            Hub.Dispose();
        }
    }
}
