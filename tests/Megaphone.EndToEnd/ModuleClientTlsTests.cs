using System.Net;
using System.Text.Json;

namespace Megaphone.EndToEnd;

/// <summary>What ejabberd offers to users whose PROXY header says that they use TLS, or that they do not, over TCP and over WebSocket.</summary>
public sealed class ModuleClientTlsTests(ModuleServer server) : IClassFixture<ModuleServer>, IAsyncLifetime
{
    private const string Sasl = "urn:ietf:params:xml:ns:xmpp-sasl";

    /// <summary>A header of version 2, from 127.0.0.9:4000 to 127.0.0.1:5222.</summary>
    private static readonly byte[] Header = [.. "\r\n\r\n\0\r\nQUIT\n"u8, 0x21, 0x11, 0, 12, 127, 0, 0, 9, 127, 0, 0, 1, 15, 160, 20, 102];

    /// <summary>The same with the field that says TLS 1.3, and no certificate.</summary>
    private static readonly byte[] TlsHeader =
        [.. Header.AsSpan(0, 14), 0, 30, .. Header.AsSpan(16), 0x20, 0, 15, 1, 0, 0, 0, 1, 0x21, 0, 7, .. "TLSv1.3"u8];

    /// <summary>Both with the field that says WebSocket.</summary>
    private static readonly byte[] WebHeader = [.. Header.AsSpan(0, 14), 0, 16, .. Header.AsSpan(16), 0xE0, 0, 1, 1];
    private static readonly byte[] WebTlsHeader = [.. TlsHeader.AsSpan(0, 14), 0, 34, .. TlsHeader.AsSpan(16), 0xE0, 0, 1, 1];

    private IPEndPoint _strict = null!;
    private Func<Task> _remove = null!;

    public async Task InitializeAsync() =>
        (_strict, _remove) = await server.Ejabberd.AddListenerAsync("module: ejabberd_megaphone", "starttls_required: true", "hibernate_after: 1");

    public Task DisposeAsync() => _remove();

    [Fact]
    public async Task With_TLS_clients_are_offered_the_features_that_work_through_an_ECM_and_no_others()
    {
        foreach (IPEndPoint listener in (IPEndPoint[])[server.Ejabberd.LinkListener, _strict])
        {
            using StanzaEcm link = await StanzaEcm.ConnectAsync(listener);
            foreach (byte[] header in (byte[][])[TlsHeader, WebTlsHeader])
            {
                string features = await FeaturesAsync(await OpenAsync(link, header));

                Assert.Contains("<mechanism>SCRAM-SHA-1</mechanism>", features, StringComparison.Ordinal);
                Assert.Contains("<mechanism>PLAIN</mechanism>", features, StringComparison.Ordinal);
                Assert.DoesNotContain("-PLUS", features, StringComparison.Ordinal);
                Assert.DoesNotContain("EXTERNAL", features, StringComparison.Ordinal);
                Assert.DoesNotContain("starttls", features, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Without_TLS_clients_are_served_as_before()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        foreach (byte[]? header in (byte[]?[])[Header, WebHeader, null])
        {
            string features = await FeaturesAsync(await OpenAsync(link, header));
            Assert.Contains("<mechanism>SCRAM-SHA-1</mechanism>", features, StringComparison.Ordinal);
            Assert.DoesNotContain("-PLUS", features, StringComparison.Ordinal);
            Assert.DoesNotContain("starttls", features, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Without_TLS_clients_are_refused_if_it_is_required()
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(_strict);
        foreach (byte[]? header in (byte[]?[])[Header, WebHeader, null])
        {
            long missing = await CounterAsync("tls_missing");
            XmppClient client = await OpenAsync(link, header);
            string said = await client.ReceiveToEndAsync();
            Assert.Contains("<policy-violation", said, StringComparison.Ordinal);
            Assert.Contains("TLS is required", said, StringComparison.Ordinal);
            Assert.DoesNotContain("features", said, StringComparison.Ordinal);
            Assert.EndsWith("</stream:stream>", said, StringComparison.Ordinal);
            Assert.Equal(missing + 1, await CounterAsync("tls_missing"));
        }
    }

    [Theory]
    [InlineData("SCRAM-SHA-1-PLUS")]
    [InlineData("SCRAM-SHA-256-PLUS")]
    public async Task A_mechanism_that_was_not_offered_fails_and_another_may_be_tried(string mechanism)
    {
        int complaints = Crashes();
        using StanzaEcm link = await StanzaEcm.ConnectAsync(_strict);
        XmppClient client = await OpenAsync(link, TlsHeader);
        await FeaturesAsync(client);

        await client.SendAsync($"<auth xmlns='{Sasl}' mechanism='{mechanism}'>cD10bHMtdW5pcXVlLCxuPWp1bGlldCxyPWFiYw==</auth>");
        Assert.Contains("<invalid-mechanism/>", await client.ExpectAsync("</failure>"), StringComparison.Ordinal);

        await client.SendAsync(
            $"<auth xmlns='{Sasl}' mechanism='PLAIN'>{Convert.ToBase64String([0, .. "juliet"u8, 0, .. "correct-horse"u8])}</auth>");
        await client.ExpectAsync("<success");
        Assert.Equal(complaints, Crashes());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task STARTTLS_that_was_not_offered_fails_and_ends_the_stream(bool hasTls)
    {
        int complaints = Crashes();
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        XmppClient client = await OpenAsync(link, hasTls ? TlsHeader : Header);
        await FeaturesAsync(client);

        await client.SendAsync("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");

        string said = await client.ReceiveToEndAsync();
        Assert.Contains("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", said, StringComparison.Ordinal);
        Assert.EndsWith("</stream:stream>", said, StringComparison.Ordinal);
        Assert.Equal(complaints, Crashes());
    }

    [Theory]
    [InlineData(false, false, "c2s")]
    [InlineData(true, false, "c2s_tls")]
    [InlineData(false, true, "websocket")]
    [InlineData(true, true, "websocket")]
    public async Task Session_information_is_the_same_awake_and_hibernating(bool hasTls, bool isWebSocket, string kind)
    {
        using StanzaEcm link = await StanzaEcm.ConnectAsync(server.Ejabberd.LinkListener);
        (XmppClient client, _) = link.Open();
        await client.SendAsync((hasTls, isWebSocket) switch
        {
            (false, false) => Header,
            (true, false) => TlsHeader,
            (false, true) => WebHeader,
            (true, true) => WebTlsHeader,
        });
        await client.LogInAsync("juliet", "balcony");

        string session = "ejabberd_sm:get_session_pid(<<\"juliet\">>, <<\"localhost\">>, <<\"balcony\">>)";
        await server.Ejabberd.ComesToAsync("{current_function,{erlang,hibernate,3}}", $"process_info({session}, current_function)");
        Assert.InRange(await server.Ejabberd.NumberAsync($"element(2, process_info({session}, memory))"), 1, 2700);
        Assert.Equal(hasTls ? "true" : "false", await server.Ejabberd.EvaluateAsync($"maps:get(stream_encrypted, sys:get_state({session}))"));
        string[] user = (await server.Ejabberd.ControlAsync("connected_users_info"))
            .Select(line => line.Split('\t')).Single(fields => fields[0] == "juliet@localhost/balcony");
        Assert.Equal((kind, "127.0.0.9"), (user[1], user[2]));
        await client.LogOutAsync();
    }

    [Theory]
    [InlineData("required", 0)]
    [InlineData("direct", 1)]
    public async Task Users_with_slixmpp_and_TLS_at_the_ECM_log_in_by_SCRAM_if_TLS_is_required(string how, int clients)
    {
        using TestCertificates certificates = new();
        certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Framing=stanza", "Ecm:Clients:0:Tls=starttls",
                "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Framing=stanza", "Ecm:Clients:1:Tls=direct",
                $"Ecm:Link:To={_strict}", "Ecm:Proxy=v2", .. certificates.Settings("localhost")]);
        await ecm.HasLinksAsync(1, "ecm");

        using ChildProcess chat = server.Ejabberd.Chat(ecm.ClientListeners[clients], how, count: 10, authority: certificates.AuthorityFile);

        using JsonDocument verdict = JsonDocument.Parse(await chat.LineAsync("{"));
        Assert.True(verdict.RootElement.GetProperty("ok").GetBoolean(), chat.Said);
        chat.CloseInput();
        Assert.Equal(0, await chat.EndAsync());
    }

    private static async Task<XmppClient> OpenAsync(StanzaEcm link, byte[]? header)
    {
        XmppClient client = link.Open().Client;
        if (header is not null) await client.SendAsync(header);
        await client.SendAsync("<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
        return client;
    }

    private static Task<string> FeaturesAsync(XmppClient client) => client.ExpectAsync("</stream:features>");

    /// <summary>Log lines about crashes; failed logins are warnings.</summary>
    private int Crashes() => server.Ejabberd.Complaints.Count(line => line.Contains("[error]") || line.Contains("[critical]"));

    private Task<long> CounterAsync(string name) =>
        server.Ejabberd.NumberAsync($"proplists:get_value({name}, maps:get(counters, ejabberd_megaphone:info()))");
}
