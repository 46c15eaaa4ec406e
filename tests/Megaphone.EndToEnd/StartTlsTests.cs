
namespace Megaphone.EndToEnd;

/// <summary>STARTTLS as the ECM offers it (RFC 6120, section 5).</summary>
public sealed class StartTlsTests : IAsyncLifetime, IDisposable
{
    private const string StartTls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    private const string Proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    private const string FeaturesEnd = "</stream:features>";

    private readonly TestCertificates _certificates = new();
    private readonly TestHub _hub = new();
    private MegaphoneProcess _ecm = null!;
    private LinkPeer _link = null!;

    public async Task InitializeAsync()
    {
        _certificates.Issue("localhost", ["localhost", "*.example.org"]);
        _ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address,
            [
                "Ecm:Clients:0:Framing=stanza", "Ecm:Clients:0:Tls=starttls", "Ecm:Tls:HandshakeTimeout=00:00:05",
                .. _certificates.Settings("localhost"),
            ]);
        _link = await _hub.AcceptPlainAsync();
        Assert.Equal("hello", (await _link.ReceiveControlAsync()).GetProperty("op").GetString());
        await _link.SendControlAsync("""{"op":"welcome","version":1,"name":"test","framing":"stanza","maxPacket":1048576,"keepAlive":15}""");
        await _ecm.HasLinksAsync(1, "ecm");
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose()
    {
        _link.Dispose();
        _ecm.Dispose();
        _hub.Dispose();
        _certificates.Dispose();
    }

    [Fact]
    public async Task The_server_gets_a_session_after_TLS_with_a_fresh_stream()
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync("<?xml version='1.0'?>" + Header("localhost"));
        string features = await client.ReceivePlainAsync(FeaturesEnd);
        Assert.Matches(
            "^<\\?xml version='1.0'\\?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='[0-9a-f]{16}' "
            + "from='localhost' version='1.0'><stream:features>"
            + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>$",
            features);
        await client.SendPlainAsync(StartTls);
        Assert.Equal(Proceed, await client.ReceivePlainAsync("/>"));
        await client.HandshakeAsync();

        await client.SendAsync("<?xml version='1.0'?>" + Header("localhost") + "<auth/>");

        Packet packet = await _link.ReceiveAsync();
        Assert.Equal(Header("localhost"), packet.Text);
        Assert.Equal("<auth/>", (await _link.ReceiveAsync()).Text);
        await _link.SendAsync(packet.Id, "<success/>");
        Assert.Equal("<success/>", await client.ReceiveTextAsync(10));
    }

    [Fact]
    public async Task STARTTLS_works_byte_by_byte()
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        foreach (char one in $" <?xml version='1.0'?>\n{Header("chat.example.org")}") await client.SendPlainAsync($"{one}");
        await client.ReceivePlainAsync(FeaturesEnd);
        foreach (char one in StartTls) await client.SendPlainAsync($"{one}");
        await client.ReceivePlainAsync("/>");
        await client.HandshakeAsync("chat.example.org");

        await client.SendAsync(Header("chat.example.org"));
        Assert.Equal(Header("chat.example.org"), (await _link.ReceiveAsync()).Text);
    }

    [Fact]
    public async Task White_space_after_starttls_is_accepted()
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header("localhost") + "\n");
        await client.ReceivePlainAsync(FeaturesEnd);
        await client.SendPlainAsync(StartTls + "\n");
        await client.ReceivePlainAsync("/>");
        await client.HandshakeAsync();

        await client.SendAsync(Header("localhost"));
        Assert.Equal(Header("localhost"), (await _link.ReceiveAsync()).Text);
    }

    [Theory]
    [InlineData(StartTls + "<iq type='set'><query xmlns='jabber:iq:roster'/></iq>")]
    [InlineData(StartTls + "<")]
    public async Task Plain_text_after_starttls_is_refused_and_never_reaches_the_server(string attack)
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header("localhost"));
        await client.ReceivePlainAsync(FeaturesEnd);
        await client.SendPlainAsync(attack);

        await AssertRefusedAsync(client, "policy-violation");
    }

    [Fact]
    public async Task Plain_text_after_proceed_fails_the_handshake_and_never_reaches_the_server()
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header("localhost"));
        await client.ReceivePlainAsync(FeaturesEnd);
        await client.SendPlainAsync(StartTls);
        await client.ReceivePlainAsync("/>");
        await client.SendPlainAsync("<iq type='set'><query xmlns='jabber:iq:roster'/></iq>");

        await client.AssertIsGoneAsync();
        await _link.AssertStaysSilentAsync();
        await _ecm.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=failed");
    }

    [Theory]
    [InlineData("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>")]
    [InlineData("<starttls/>")]
    [InlineData("<starttls xmlns='jabber:client'/>")]
    [InlineData("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>now</starttls>")]
    [InlineData("<iq type='get' id='1'/>")]
    public async Task Without_STARTTLS_nothing_is_passed_on(string stanza)
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header("localhost"));
        await client.ReceivePlainAsync(FeaturesEnd);
        await client.SendPlainAsync(stanza);

        await AssertRefusedAsync(client, "policy-violation");
    }

    [Theory]
    [InlineData("elsewhere.example")]
    [InlineData("example.org")]
    [InlineData("a.b.example.org")]
    [InlineData("")]
    public async Task A_host_that_no_certificate_covers_gets_host_unknown(string host)
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header(host));

        await AssertRefusedAsync(client, "host-unknown", "<?xml version='1.0'?><stream:stream");
    }

    [Theory]
    [InlineData("a' evil='1' x='.example.org")]
    [InlineData("a&apos; evil=&apos;1.example.org")]
    [InlineData("a>b.example.org")]
    [InlineData("*.example.org")]
    public async Task An_invalid_host_name_gets_host_unknown_and_is_never_echoed(string host)
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header("HOST").Replace("'HOST'", $"\"{host}\""));

        string said = await AssertRefusedAsync(client, "host-unknown", "<?xml version='1.0'?><stream:stream");
        Assert.DoesNotContain("evil", said);
        Assert.DoesNotContain("from=", said);
    }

    [Theory]
    [InlineData("Chat.EXAMPLE.org.", "chat.example.org")]
    [InlineData("m\u00fcnchen.example.org", "xn--mnchen-3ya.example.org")]
    public async Task The_answer_contains_the_normalized_host_name(string host, string echoed)
    {
        using TestConnection client = await TestConnection.ConnectAsync(_ecm.Clients);
        await client.SendAsync(System.Text.Encoding.UTF8.GetBytes(Header(host)));

        string expected = $" from='{echoed}' version='1.0'><stream:features>";
        string said = "";
        while (!said.Contains("</stream:features>")) said += await client.ReceiveTextAsync(1);
        Assert.Contains(expected, said);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n", "not-well-formed")]
    [InlineData("<html>", "bad-format")]
    public async Task Anything_but_XMPP_gets_the_matching_stream_error(string text, string condition)
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(text);

        await AssertRefusedAsync(client, condition, "<?xml version='1.0'?><stream:stream");
    }

    [Fact]
    public async Task A_header_without_an_end_is_refused_before_it_takes_memory()
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync($"<stream:stream to='localhost' x='{new string('x', 5000)}");

        await AssertRefusedAsync(client, "policy-violation", "<?xml version='1.0'?><stream:stream");
    }

    [Fact]
    public async Task A_client_may_close_its_stream_instead()
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header("localhost"));
        await client.ReceivePlainAsync(FeaturesEnd);
        await client.SendPlainAsync("</stream:stream>");

        Assert.Equal("</stream:stream>", await client.ReceivePlainAsync("</stream:stream>"));
        await client.AssertEndsPlainAsync();
        client.Dispose();
        await _ecm.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=abandoned");
        await _ecm.ReachesAsync(0, "megaphone_ecm_handshaking");
    }

    [Fact]
    public async Task A_silent_client_is_closed_at_the_handshake_timeout()
    {
        using TlsClient client = await TlsClient.ConnectPlainAsync(_ecm.Clients);
        await client.SendPlainAsync(Header("localhost"));
        await client.ReceivePlainAsync(FeaturesEnd);

        await client.AssertIsGoneAsync();
        await _ecm.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=timeout");
    }

    private static string Header(string host) =>
        $"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{host}' version='1.0'>";

    private async Task<string> AssertRefusedAsync(TlsClient client, string condition, string beginning = "<stream:error>")
    {
        string said = await client.ReceivePlainAsync("</stream:stream>");
        Assert.StartsWith(beginning, said, StringComparison.Ordinal);
        Assert.EndsWith(
            $"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
            said,
            StringComparison.Ordinal);
        await client.AssertEndsPlainAsync();
        client.Dispose();
        await _link.AssertStaysSilentAsync();
        await _ecm.ReachesAsync(1, "megaphone_ecm_stream_errors_total", $"condition={condition}");
        await _ecm.ReachesAsync(1, "megaphone_ecm_handshakes_total", "result=stream_error");
        await _ecm.ReachesAsync(0, "megaphone_ecm_handshaking");
        return said;
    }
}
