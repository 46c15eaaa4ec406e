using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>The limits of <c>Ecm:Limits</c>: who may connect, and how many from one address.</summary>
public sealed class LimitTests : IDisposable
{
    private const string NoExemption = "Ecm:Limits:Exempt:0=192.0.2.0/24";
    private const string Refusal =
        "^<\\?xml version='1.0'\\?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='[0-9a-f]{16}' "
        + "version='1.0'><stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>$";

    private static readonly IPAddress One = IPAddress.Parse("127.0.0.8");
    private static readonly IPAddress Other = IPAddress.Parse("127.0.0.9");

    private readonly TestHub _hub = new();
    private readonly TestCertificates _certificates = new();

    public void Dispose()
    {
        _hub.Dispose();
        _certificates.Dispose();
    }

    [Fact]
    public async Task One_address_may_have_so_many_connections_and_no_more()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Limits:PerAddress=2", NoExemption);
        using TestConnection first = await TestConnection.ConnectAsync(both.Clients, One);
        using TestConnection second = await TestConnection.ConnectAsync(both.Clients, One);
        await second.AssertEchoesAsync();
        using (TestConnection third = await TestConnection.ConnectAsync(both.Clients, One)) await third.AssertIsGoneAsync();
        using (TestConnection elsewhere = await TestConnection.ConnectAsync(both.Clients, Other)) await elsewhere.AssertEchoesAsync();
        await both.ReachesAsync(1, "megaphone_limited_total", "limit=per_address");
        Assert.Equal(1, (await both.MetricsAsync())["megaphone_refused_total", "role=ecm", "reason=limited"]);

        second.Dispose();
        await both.HasClientsAsync(1);
        using TestConnection again = await TestConnection.ConnectAsync(both.Clients, One);
        await again.AssertEchoesAsync();
    }

    [Fact]
    public async Task One_address_may_bring_so_many_connections_a_second_and_the_log_has_one_line_for_all_others()
    {
        const int many = 300;
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Limits:PerAddressRate=5", NoExemption);
        for (int i = 0; i < many; i++)
        {
            using TestConnection client = await TestConnection.ConnectAsync(both.Clients, One);
        }

        using TestConnection elsewhere = await TestConnection.ConnectAsync(both.Clients, Other);
        await elsewhere.AssertEchoesAsync();
        await both.ReachesAtLeastAsync(1, "megaphone_limited_total", "limit=per_address_rate");
        await BoundedWait.UntilAsync(() => both.LogLines("per_address_rate") > 0, "a line in the log");
        Assert.InRange(both.LogLines("per_address_rate"), 1, 3);

        // As soon as its bucket has a token again.
        await BoundedWait.UntilAsync(
            async () =>
            {
                using TestConnection client = await TestConnection.ConnectAsync(both.Clients, One);
                return await IsServedAsync(client);
            },
            () => "a connection after a while");
    }

    [Fact]
    public async Task Who_is_exempt_is_not_limited_and_by_default_that_is_this_machine()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Limits:PerAddress=1", "Ecm:Limits:PerAddressRate=1");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(both.Clients, 20);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync();
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task Only_who_is_allowed_and_not_denied_may_connect()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Limits:Allow:0=127.0.0.8/31", "Ecm:Limits:Deny:0=127.0.0.9/32");
        using (TestConnection allowed = await TestConnection.ConnectAsync(both.Clients, One)) await allowed.AssertEchoesAsync();
        using (TestConnection denied = await TestConnection.ConnectAsync(both.Clients, Other)) await denied.AssertIsGoneAsync();
        using (TestConnection stranger = await TestConnection.ConnectAsync(both.Clients)) await stranger.AssertIsGoneAsync();
        await both.ReachesAsync(2, "megaphone_limited_total", "limit=denied");
    }

    [Theory]
    [InlineData("none")]
    [InlineData("starttls")]
    public async Task An_XMPP_client_hears_that_it_violates_a_policy(string tls)
    {
        _certificates.Issue("localhost", ["localhost"]);
        string[] certificates = tls == "none" ? [] : [.. _certificates.Settings("localhost")];
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address, ["Ecm:Clients:0:Framing=stanza", $"Ecm:Clients:0:Tls={tls}", "Ecm:Limits:Deny:0=127.0.0.9/32", .. certificates]);
        using LinkPeer link = await _hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients, Other);
        Assert.Matches(Refusal, Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
    }

    [Fact]
    public async Task A_browser_gets_an_answer_of_HTTP()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address, "Ecm:Clients:0:Framing=web", "Ecm:Limits:Deny:0=127.0.0.9/32");
        using LinkPeer link = await _hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients, Other);
        Assert.StartsWith("HTTP/1.1 429 Too Many Requests\r\n", Encoding.ASCII.GetString(await client.ReceiveToEndAsync()));
    }

    [Fact]
    public async Task A_client_of_direct_TLS_gets_an_alert()
    {
        _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address,
            ["Ecm:Clients:0:Framing=stanza", "Ecm:Clients:0:Tls=direct", "Ecm:Limits:Deny:0=127.0.0.9/32", .. _certificates.Settings("localhost")]);
        using LinkPeer link = await _hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients, Other);

        // A fatal alert, access_denied.
        Assert.Equal([0x15, 3, 3, 0, 2, 2, 49], await client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Handshakes_that_are_given_up_do_not_count_any_more()
    {
        _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:0:Tls=direct", "Ecm:Limits:PerAddress=2", NoExemption, .. _certificates.Settings("localhost")]);
        for (int i = 0; i < 3; i++)
        {
            using (TestConnection first = await TestConnection.ConnectAsync(both.Clients))
            using (TestConnection second = await TestConnection.ConnectAsync(both.Clients))
                await both.ReachesAsync(2, "megaphone_ecm_handshaking");
            await both.ReachesAsync(0, "megaphone_ecm_handshaking");
        }

        using TlsClient client = await TlsClient.ConnectAsync(both.Clients);
        await client.AssertEchoesAsync();
        Assert.Equal(0, (await both.MetricsAsync())["megaphone_limited_total"]);
    }

    [Fact]
    public async Task When_all_places_are_taken_those_who_have_not_logged_in_give_way_if_their_address_has_very_many_of_them()
    {
        const int places = 40, newcomers = 10;
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, "Ecm:Clients:0:Framing=stanza", $"Ecm:MaxClients={places}");
        using LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients, One);
        await client.SendAsync(XmppClient.Header);
        ulong id = await SessionAsync(link);
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}"]}""");
        await ecm.ReachesAsync(1, "megaphone_clients_logged_in");
        List<TestConnection> others = [];
        for (int i = 1; i < places; i++) others.Add(await TestConnection.ConnectAsync(ecm.Clients, One));
        await ecm.HasClientsAsync(places);

        for (int i = 0; i < newcomers; i++)
        {
            TestConnection newcomer = await TestConnection.ConnectAsync(ecm.Clients, Other);
            others.Add(newcomer);
            await newcomer.SendAsync(XmppClient.Header);
            await SessionAsync(link);
        }

        await ecm.HasClientsAsync(places);
        Assert.Equal(newcomers, (await ecm.MetricsAsync())["megaphone_limited_total", "limit=max_clients"]);

        // One more from the address that has very many gets no place, and the one who has logged in keeps its own.
        using (TestConnection more = await TestConnection.ConnectAsync(ecm.Clients, One)) await more.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=too_many");
        await client.SendAsync("<message/>");
        Assert.Equal(id, await SessionAsync(link, "<message/>"));
        await link.SendAsync(id, "<message/>");
        await client.ReceiveTextAsync("<message/>".Length);
        others.ForEach(connection => connection.Abort());
        await ecm.HasClientsAsync(1);
    }

    [Fact]
    public async Task When_all_places_are_taken_by_those_who_have_logged_in_nobody_gives_way()
    {
        const int places = 20;
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync($"Ecm:MaxClients={places}");
        List<TestConnection> clients = [];
        for (int i = 0; i < places; i++)
        {
            clients.Add(await TestConnection.ConnectAsync(both.Clients, One));
            await clients[^1].AssertEchoesAsync();
        }

        using (TestConnection newcomer = await TestConnection.ConnectAsync(both.Clients, Other)) await newcomer.AssertIsGoneAsync();
        Assert.Equal(1, (await both.MetricsAsync())["megaphone_refused_total", "role=ecm", "reason=too_many"]);
        foreach (TestConnection client in clients)
        {
            await client.AssertEchoesAsync();
            client.Dispose();
        }
    }

    /// <summary>600 connections that are silent, or have begun with a record, used to keep everybody else waiting, as they held all places.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connections_of_one_address_that_do_not_go_on_do_not_keep_others_from_their_handshake(bool begins)
    {
        _certificates.Issue("localhost", ["localhost"]);
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            ["Ecm:Clients:0:Tls=direct", "Ecm:Tls:MaxHandshakes=64", "Ecm:Tls:HandshakeTimeout=5m", .. _certificates.Settings("localhost")]);
        List<TestConnection> silent = [];
        for (int i = 0; i < 300; i++)
        {
            silent.Add(await TestConnection.ConnectAsync(both.Clients, One));
            if (begins) await silent[^1].SendAsync("\x16\x03\x01");
        }

        using (TlsClient client = await TlsClient.ConnectAsync(both.Clients)) await client.AssertEchoesAsync();
        MetricsSnapshot metrics = await both.MetricsAsync();
        Assert.InRange(metrics["megaphone_limited_total", "limit=slow_handshake"], 1, 300);
        Assert.InRange(metrics["megaphone_limited_total", "limit=max_handshakes"], 1, 1000);
        await BoundedWait.UntilAsync(() => both.LogLines("max_handshakes") > 0, "a line in the log");

        // And the silent ones that are left have not much longer.
        if (!begins) await both.ReachesAsync(0, "megaphone_ecm_handshaking");
        silent.ForEach(connection => connection.Dispose());
    }

    /// <summary>1,030 connections without a login used to take all the memory for stanzas that come in parts.</summary>
    [Fact]
    public async Task Parts_of_stanzas_of_those_who_have_not_logged_in_take_nothing_from_others()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address, "Ecm:Clients:0:Framing=stanza", "Ecm:IncompleteBytes=1M", "Ecm:HalfOpenTimeout=1s");
        using LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.SendAsync(XmppClient.Header);
        ulong id = (await link.ReceiveAsync()).Id;
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}"]}""");
        await ecm.ReachesAsync(1, "megaphone_clients_logged_in");

        List<TestConnection> greedy = [];
        for (int i = 0; i < 100; i++)
        {
            TestConnection one = await TestConnection.ConnectAsync(ecm.Clients, One);
            greedy.Add(one);
            await one.SendAsync($"{XmppClient.Header}<a x='{new string('x', 16_000)}");
        }

        await ecm.ReachesAtLeastAsync(1, "megaphone_ecm_stream_errors_total", "condition=resource-constraint");
        Assert.InRange((await ecm.MetricsAsync())["megaphone_ecm_incomplete_bytes"], 1, 512 << 10);

        // One from another address who logs in meanwhile, and one who is logged in, send stanzas in parts.
        HashSet<ulong> seen = [id];
        while (seen.Count < greedy.Count + 1) seen.Add(await SessionAsync(link));
        using TestConnection other = await TestConnection.ConnectAsync(ecm.Clients, Other);
        await other.SendAsync(XmppClient.Header);
        ulong otherId = await SessionAsync(link);
        long before = (await ecm.MetricsAsync())["megaphone_ecm_incomplete_bytes"];
        await other.SendAsync("<auth>");
        await BoundedWait.UntilAsync(
            async () => (await ecm.MetricsAsync())["megaphone_ecm_incomplete_bytes"] != before, () => "a part of a stanza");
        await other.SendAsync("</auth>");
        Assert.Equal(otherId, await SessionAsync(link, "<auth></auth>"));
        string message = $"<message>{new string('y', 100_000)}</message>";
        await client.SendAsync(message);
        Assert.Equal(id, await SessionAsync(link, message));

        greedy.ForEach(connection => connection.Dispose());
        await ecm.HasClientsAsync(2);
        await ecm.ReachesAsync(0, "megaphone_ecm_incomplete_bytes");
    }

    /// <summary>The next session that sends a piece, which must be this one if it is given.</summary>
    private static async Task<ulong> SessionAsync(LinkPeer link, string piece = XmppClient.Header)
    {
        Packet packet;
        do packet = await link.ReceiveAsync();
        while (packet.Id == 0);
        Assert.Equal(piece, packet.Text);
        return packet.Id;
    }

    private static async Task<bool> IsServedAsync(TestConnection client)
    {
        try
        {
            await client.SendAsync("?");
        }
        catch (SocketException)
        {
            return false;
        }

        return (await client.ReceiveAtMostAsync(1)).Length == 1;
    }
}
