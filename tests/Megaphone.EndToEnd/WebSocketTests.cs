using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>XMPP over WebSocket (RFC 7395) at a listener for the web.</summary>
public sealed class WebSocketTests
{
    private const string Header =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
    private const string End = "</stream:stream>";
    private const string CloseStream = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

    [Fact]
    public async Task Each_message_is_a_packet_and_each_piece_of_the_servers_a_message()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await client.SendTextAsync("<auth>\u00fc</auth>");
        Assert.Equal("<auth>\u00fc</auth>", Encoding.UTF8.GetString((await setup.Link.ReceiveAsync()).Content));

        await setup.Link.SendAsync(
            id, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='7'>");
        await setup.Link.SendAsync(id, "<stream:features><a/></stream:features> <message to='x'><bo");
        await setup.Link.SendAsync(id, "dy>y</body></message><presence/>");
        await client.AssertTextAsync("<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" id='7' />");
        await client.AssertTextAsync("<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><a/></stream:features>");
        await client.AssertTextAsync("<message xmlns='jabber:client' to='x'><body>y</body></message>");
        await client.AssertTextAsync("<presence xmlns='jabber:client'/>");

        await client.SendTextAsync(CloseStream);
        await setup.AssertPieceAsync(End, id);
        await setup.Link.SendAsync(id, End);
        await client.AssertTextAsync(BrowserConnection.Close);
        await setup.Link.SendEndAsync(id);
        await client.AssertClosesAsync(1000);
        client.Dispose();
        await setup.Link.AssertEndAsync(id);
        await setup.Ecm.HasClosedAsync(1, "ecm", "ended");
        await setup.Ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task Frames_sent_byte_by_byte_and_in_fragments_make_the_same_packets()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        foreach (char letter in BrowserConnection.Request()) await client.SendAsync($"{letter}");
        Assert.StartsWith("HTTP/1.1 101 ", await client.ReceiveHeadAsync());
        byte[] frames =
        [
            .. BrowserConnection.Text(BrowserConnection.Open[..20], final: false), .. BrowserConnection.Frame(9, "hm"u8),
            .. BrowserConnection.Frame(0, Encoding.ASCII.GetBytes(BrowserConnection.Open[20..])), .. BrowserConnection.Text("<a><b/></a>"),
        ];
        foreach (byte one in frames) await client.SendAsync(new[] { one });
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.AssertPieceAsync("<a><b/></a>", id);
        (int opcode, _, byte[] payload) = await client.ReceiveFrameAsync();
        Assert.Equal((10, "hm"), (opcode, Encoding.ASCII.GetString(payload)));
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
    }

    [Fact]
    public async Task A_long_piece_arrives_whole_in_fragments()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        string body = new('x', 300_000);
        await setup.Link.SendAsync(id, Header);
        await setup.Link.SendAsync(id, $"<message><body>{body}</body></message>");
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());
        await client.AssertTextAsync($"<message xmlns='jabber:client'><body>{body}</body></message>");

        string long2 = $"<message><body>{new string('y', 200_000)}</body></message>";
        await client.SendTextAsync(long2);
        await setup.AssertPieceAsync(long2, id);
    }

    [Theory]
    [InlineData("<presence/>", "bad-format")]
    [InlineData("<a><b>", "not-well-formed")]
    [InlineData("<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", "not-well-formed")]
    [InlineData("<a/><b/>", "bad-format")]
    [InlineData("<!-- a -->", "restricted-xml")]
    public async Task A_message_that_is_not_XMPP_is_answered_with_a_stream_error(string message, string condition)
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(message);
        Assert.StartsWith("<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" id='", await client.ReceiveTextAsync());
        await client.AssertTextAsync(
            "<stream:error xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
            + $"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
        await client.AssertTextAsync(BrowserConnection.Close);
        await client.AssertClosesAsync(1000);
        await setup.Ecm.ReachesAsync(1, "megaphone_ecm_stream_errors_total", $"condition={condition}");
    }

    [Theory]
    [InlineData(1003, 0x82, 0x80, 0, 0, 0, 0)]
    [InlineData(1002, 0x81, 0x01, 0x20)]
    [InlineData(1002, 0xC1, 0x80, 0, 0, 0, 0)]
    [InlineData(1007, 0x81, 0x81, 0, 0, 0, 0, 0xFF)]
    [InlineData(1009, 0x81, 0xFF, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0, 0)]
    public async Task A_frame_that_may_not_be_closes_the_WebSocket_with_its_code_and_resets_the_session(int code, params int[] frame)
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await client.SendAsync(frame.Select(value => (byte)value).ToArray());
        await client.AssertClosesAsync(code);
        await setup.Link.AssertControlAsync("reset", id);
        await setup.Ecm.HasClosedAsync(1, "ecm", "stream_error");
    }

    [Fact]
    public async Task A_WebSocket_that_ends_without_close_is_an_empty_packet()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await client.SendAsync(BrowserConnection.Frame(8, [0x03, 0xE9]));
        await client.AssertClosesAsync(1001);
        await setup.Link.AssertEndAsync(id);

        using BrowserConnection other = await setup.UpgradedAsync();
        await other.SendTextAsync(BrowserConnection.Open);
        ulong second = await setup.AssertPieceAsync(Header);
        other.Dispose();
        await setup.Link.AssertEndAsync(second);
    }

    [Fact]
    public async Task A_silent_client_is_sent_pings()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Clients:0:Web:Ping=1s");
        using BrowserConnection client = await setup.UpgradedAsync();
        (int opcode, bool final, byte[] payload) = await client.ReceiveFrameAsync();
        Assert.Equal((9, true, 0), (opcode, final, payload.Length));
        await client.SendAsync(BrowserConnection.Frame(10, payload));
        await client.SendTextAsync(BrowserConnection.Open);
        await setup.AssertPieceAsync(Header);
    }

    [Fact]
    public async Task Clients_that_have_TLS_name_http_and_those_of_XMPP_are_refused()
    {
        using TestCertificates certificates = new();
        certificates.Issue("a", ["localhost"]);
        using Setup setup = await Setup.StartAsync(["Ecm:Clients:0:Tls=direct", .. certificates.Settings("a")]);
        using BrowserConnection client = await BrowserConnection.UpgradedAsync(setup.Ecm.Clients, "http/1.1");
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        string body = new('x', 100_000);
        await setup.Link.SendAsync(id, $"{Header}<message><body>{body}</body></message>");
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());
        await client.AssertTextAsync($"<message xmlns='jabber:client'><body>{body}</body></message>");
        await Assert.ThrowsAnyAsync<Exception>(() => BrowserConnection.ConnectAsync(setup.Ecm.Clients, "xmpp-client"));
    }

    [Fact]
    public async Task The_server_learns_that_it_is_a_WebSocket_and_what_a_trusted_proxy_says_of_its_client()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Proxy=v2", "Ecm:Clients:0:Web:ForwardedFrom:0=127.0.0.0/8");
        using BrowserConnection direct = await setup.UpgradedAsync();
        byte[] header = (await setup.Link.ReceiveAsync()).Content;
        byte[] port = [(byte)(direct.Address.Port >> 8), (byte)direct.Address.Port];
        Assert.Equal([.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, 0x11, 0, 16, 127, 0, 0, 1, 127, 0, 0, 1, .. port], header[..26]);
        Assert.Equal([0xE0, 0, 1, 1], header[28..]);

        using BrowserConnection forwarded = await BrowserConnection.UpgradedAsync(
            setup.Ecm.Clients, null, "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 127.9.9.9", "X-Forwarded-Proto: https");
        header = (await setup.Link.ReceiveAsync()).Content;
        Assert.Equal([203, 0, 113, 7, 127, 0, 0, 1, 0, 0], header[16..26]);
        Assert.Equal([0xE0, 0, 1, 1, 0x20, 0, 5, 1, 0, 0, 0, 1], header[28..]);
    }

    [Fact]
    public async Task A_page_of_a_foreign_origin_is_refused()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Clients:0:Web:Origins:0=https://chat.example.org");
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await client.SendAsync(BrowserConnection.Request("Origin: https://evil.example.org"));
        Assert.StartsWith("HTTP/1.1 403 ", await client.ReceiveToEndAsync());
        using BrowserConnection own = await BrowserConnection.UpgradedAsync(setup.Ecm.Clients, null, "Origin: HTTPS://chat.example.org");
        using BrowserConnection none = await setup.UpgradedAsync();
    }

    [Theory]
    [InlineData("GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found")]
    [InlineData("POST /ws HTTP/1.1\r\n", "HTTP/1.1 404 Not Found")]
    [InlineData("<stream:stream>", "HTTP/1.1 404 Not Found")]
    [InlineData("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 Upgrade Required")]
    [InlineData("GET /ws HTTP/1.1\r\nHost: a\n\r\n", "HTTP/1.1 400 Bad Request")]
    public async Task What_is_no_WebSocket_is_refused_in_words(string request, string answer)
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await client.SendAsync(request);
        string all = await client.ReceiveToEndAsync();
        Assert.StartsWith(answer, all);
        Assert.EndsWith(".\n", all);
    }

    [Fact]
    public async Task Frames_that_come_with_the_request_are_refused_as_smuggled()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await client.SendAsync((byte[])[.. Encoding.ASCII.GetBytes(BrowserConnection.Request()), .. BrowserConnection.Text(BrowserConnection.Open)]);
        Assert.StartsWith("HTTP/1.1 400 ", await client.ReceiveToEndAsync());
        await setup.Link.AssertStaysSilentAsync();
    }

    [Fact]
    public async Task The_servers_stream_may_be_cut_anywhere()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.Link.SendAsync(id, Header);
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());
        const string Pieces = "<a to='>'><![CDATA[</a>]]></a> <stream:features/><b xmlns='c'/>";
        for (int cut = 1; cut < Pieces.Length; cut++)
        {
            await setup.Link.SendAsync(id, Pieces[..cut]);
            await setup.Link.SendAsync(id, Pieces[cut..]);
            await client.AssertTextAsync("<a xmlns='jabber:client' to='>'><![CDATA[</a>]]></a>");
            await client.AssertTextAsync("<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'/>");
            await client.AssertTextAsync("<b xmlns='c'/>");
        }

        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
        await setup.Link.SendAsync(id, "<half><a");
        await setup.Ecm.ReachesAsync(256, "megaphone_ecm_incomplete_bytes");
        client.Dispose();
        await setup.Link.AssertEndAsync(id);
        await setup.Link.SendEndAsync(id);
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
    }

    [Fact]
    public async Task A_piece_that_is_longer_than_a_packet_is_a_message_and_so_is_one_that_ends_with_it()
    {
        const int Full = 20_000 - 32;
        using Setup setup = await Setup.StartAsync(pieces: true, "Ecm:Clients:0:MaxStanzaBytes=10000", "Ecm:MaxPacketBytes=20000");
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.Link.SendAsync(id, Header);
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());

        string[] pieces = [.. new[] { Full - 1, Full, Full + 1, 2 * Full }.Select(length => $"<a xmlns='b'>{new string('x', length - 17)}</a>")];
        foreach (string piece in pieces)
        {
            foreach (char[] part in piece.Chunk(Full)) await setup.Link.SendAsync(id, new string(part));
            if (piece.Length % Full == 0) await setup.Link.SendAsync(id, " ");
        }

        foreach (string piece in pieces) await client.AssertTextAsync(piece);
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
    }

    [Theory]
    [InlineData("not XMPP")]
    [InlineData("<message/>")]
    [InlineData("<stream:stream a>")]
    public async Task A_server_that_sends_what_is_no_stream_loses_its_client(string sent)
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.Link.SendAsync(id, sent);
        await setup.Link.AssertControlAsync("reset", id);
        await setup.Ecm.HasClosedAsync(1, "ecm", "invalid_output");
    }

    [Fact]
    public async Task A_client_that_reads_nothing_pauses_its_session_and_its_pings_are_not_answered()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Buffers:HighBytes=65536", "Ecm:Buffers:LowBytes=16384");
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.Link.SendAsync(id, Header);
        string message = $"<message xmlns='jabber:client'><body>{new string('x', 100_000)}</body></message>";
        int sent = 0;
        while ((await setup.Ecm.MetricsAsync())["megaphone_pauses_total", "role=ecm"] == 0)
        {
            await setup.Link.SendAsync(id, message);
            sent++;
        }

        await setup.Link.AssertControlAsync("pause", id);
        await client.SendAsync(BrowserConnection.Frame(9, "unheard"u8));
        await client.SendTextAsync("<a/>");
        await setup.AssertPieceAsync("<a/>", id);
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());
        for (; sent > 0; sent--) await client.AssertTextAsync(message);
        await setup.Link.AssertControlAsync("resume", id);
        await client.SendAsync(BrowserConnection.Frame(9, "heard"u8));
        (int opcode, _, byte[] payload) = await client.ReceiveFrameAsync();
        Assert.Equal((10, "heard"), (opcode, Encoding.ASCII.GetString(payload)));
    }

    [Fact]
    public async Task A_client_that_sends_no_request_in_time_is_closed_and_counted()
    {
        using Setup setup = await Setup.StartAsync();
        using BrowserConnection silent = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        using BrowserConnection slow = await BrowserConnection.ConnectAsync(setup.Ecm.Clients);
        await slow.SendAsync("GET /ws HTTP/1.1\r\nX: ");
        using BrowserConnection other = await setup.UpgradedAsync();
        await setup.Ecm.ReachesAsync(2, "megaphone_refused_total", "role=ecm", "reason=no_request");
        await setup.Ecm.HasClientsAsync(1);
        await setup.Ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
        await other.SendTextAsync(BrowserConnection.Open);
        await setup.AssertPieceAsync(Header);
    }

    [Fact]
    public async Task A_drain_tells_a_client_the_end()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Drain:Over=0s");
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        setup.Ecm.Process.Signal(10);
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());
        Assert.Contains("<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", await client.ReceiveTextAsync());
        await client.AssertTextAsync(BrowserConnection.Close);
        await client.AssertClosesAsync(1001);
        await setup.Link.AssertControlAsync("reset", id);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_drain_tells_a_client_where_to_go(bool hasOpened)
    {
        using Setup setup = await Setup.StartAsync("Ecm:Drain:Over=0s", "Ecm:Drain:SeeOtherUri=wss://b.example/ws?a&b");
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        if (hasOpened)
        {
            await setup.Link.SendAsync(id, Header);
            Assert.StartsWith("<open ", await client.ReceiveTextAsync());
        }

        setup.Ecm.Process.Signal(10);
        await client.AssertTextAsync("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" see-other-uri=\"wss://b.example/ws?a&amp;b\" />");
        await client.AssertClosesAsync(1001);
        await setup.Link.AssertControlAsync("reset", id);
    }

    [Fact]
    public async Task A_client_of_a_lost_link_is_told_the_end()
    {
        using Setup setup = await Setup.StartAsync("Ecm:Link:Resume=false");
        using BrowserConnection client = await setup.UpgradedAsync();
        await client.SendTextAsync(BrowserConnection.Open);
        ulong id = await setup.AssertPieceAsync(Header);
        await setup.Link.SendAsync(id, Header);
        Assert.StartsWith("<open ", await client.ReceiveTextAsync());
        setup.Link.Abort();
        Assert.Contains("<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", await client.ReceiveTextAsync());
        await client.AssertTextAsync(BrowserConnection.Close);
        await client.AssertClosesAsync(1001);
    }

    /// <summary>An ECM with a listener for the web, and the other end of its link.</summary>
    private sealed class Setup(MegaphoneProcess ecm, TestHub hub, LinkPeer link) : IDisposable
    {
        public MegaphoneProcess Ecm => ecm;

        public LinkPeer Link => link;

        public static Task<Setup> StartAsync(params string[] settings) => StartAsync(pieces: false, settings);

        public static async Task<Setup> StartAsync(bool pieces, params string[] settings)
        {
            TestHub hub = new();
            MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(hub.Address, ["Ecm:Clients:0:Framing=web", .. settings]);
            LinkPeer link = await hub.AcceptAsync(pieces: pieces);
            await ecm.HasLinksAsync(1, "ecm");
            return new Setup(ecm, hub, link);
        }

        public Task<BrowserConnection> UpgradedAsync() => BrowserConnection.UpgradedAsync(ecm.Clients);

        public async Task<ulong> AssertPieceAsync(string piece, ulong? id = null)
        {
            Packet packet = await link.ReceiveAsync();
            Assert.Equal(piece, packet.Text);
            if (id is not null) Assert.Equal(id, packet.Id);
            return packet.Id;
        }

        public void Dispose()
        {
            ecm.Dispose();
            hub.Dispose();
            link.Dispose();
        }
    }
}
