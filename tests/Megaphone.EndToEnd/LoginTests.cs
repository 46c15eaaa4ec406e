using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>Who is logged in, as the server says (section 8 of the protocol), and what holds for everybody before that.</summary>
public sealed class LoginTests : IDisposable
{
    private const string Framing = "Ecm:Clients:0:Framing=stanza";

    /// <summary>The servers here do not end the streams of clients who have gone.</summary>
    private const string HalfOpen = "Ecm:HalfOpenTimeout=1s";

    private const string NewStream =
        "<\\?xml version='1.0'\\?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='[0-9a-f]{16}' "
        + "version='1.0'>";

    private readonly TestHub _hub = new();

    public void Dispose() => _hub.Dispose();

    [Fact]
    public async Task A_client_is_logged_in_when_its_server_says_so()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, HalfOpen);
        using LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        using TestConnection other = await TestConnection.ConnectAsync(ecm.Clients);
        ulong id = await OpenAsync(client, link);
        await OpenAsync(other, link);
        await link.SendAsync(id, "<features/>");
        await client.ReceiveTextAsync("<features/>".Length);
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);

        // Ids that are nobody's change nothing.
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}","7","18446744073709551615"]}""");
        await link.SendAsync(id, "<success/>");
        await client.ReceiveTextAsync("<success/>".Length);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_login_seconds_count"]);
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}"]}""");
        client.Dispose();
        await ecm.HasClientsAsync(1);
        await ecm.ReachesAsync(0, "megaphone_clients_logged_in");
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_login_seconds_count"]);
    }

    [Fact]
    public async Task Who_does_not_log_in_in_time_hears_so_and_the_server_too()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, "Ecm:Limits:LoginTimeout=4s");
        using LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection silent = await TestConnection.ConnectAsync(ecm.Clients);
        using TestConnection quick = await TestConnection.ConnectAsync(ecm.Clients);
        ulong loggedIn = await OpenAsync(quick, link);
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{loggedIn}}"]}""");
        using TestConnection slow = await TestConnection.ConnectAsync(ecm.Clients);
        ulong id = await OpenAsync(slow, link);
        await link.SendAsync(id, "<features/>");

        const string Error = "<stream:error><connection-timeout xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
        Assert.Matches($"^{NewStream}{Error}$", Text(await silent.ReceiveToEndAsync()));
        Assert.Equal("<features/>" + Error, Text(await slow.ReceiveToEndAsync()));
        await link.AssertControlAsync("reset", id);
        slow.Dispose();
        silent.Dispose();
        await ecm.HasClientsAsync(1);
        await ecm.HasClosedAsync(1, "ecm", "login_timeout");
        await ecm.ReachesAsync(2, "megaphone_limited_total", "limit=login_timeout");
        await link.SendAsync(loggedIn, "still here");
        Assert.Equal("still here", await quick.ReceiveTextAsync(10));
    }

    [Fact]
    public async Task A_client_of_bytes_has_that_time_for_its_first_byte()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:Limits:LoginTimeout=4s");
        using TestConnection silent = await TestConnection.ConnectAsync(both.Clients);
        using TestConnection speaks = await TestConnection.ConnectAsync(both.Clients);
        await speaks.AssertEchoesAsync();
        await silent.AssertIsGoneAsync();
        await both.HasClientsAsync(1);
        await both.ReachesAsync(1, "megaphone_limited_total", "limit=login_timeout");
        await speaks.AssertEchoesAsync();
    }

    [Fact]
    public async Task Where_the_server_does_not_tell_its_first_answer_is_enough()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, HalfOpen, "Ecm:Limits:LoginTimeout=4s");
        using LinkPeer link = await _hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection answered = await TestConnection.ConnectAsync(ecm.Clients);
        using TestConnection other = await TestConnection.ConnectAsync(ecm.Clients);
        ulong id = await OpenAsync(answered, link);
        await OpenAsync(other, link);
        await link.SendAsync(id, "<features/>");
        await other.AssertIsGoneAsync();
        await ecm.HasClientsAsync(1);
        await link.SendAsync(id, "<more/>");
        Assert.Equal("<features/><more/>", await answered.ReceiveTextAsync("<features/><more/>".Length));
    }

    [Fact]
    public async Task Before_the_login_stanzas_are_short()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, "Ecm:Limits:BeforeLogin:StanzaBytes=8K");
        using LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        string stanza = $"<a>{new string('x', 10_000)}</a>";
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        ulong id = await OpenAsync(client, link);
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}"]}""");
        await ecm.ReachesAsync(1, "megaphone_clients_logged_in");
        await client.SendAsync(stanza);
        Assert.Equal(stanza, (await link.ReceiveAsync()).Text);

        using TestConnection stranger = await TestConnection.ConnectAsync(ecm.Clients);
        ulong refused = await OpenAsync(stranger, link);
        await stranger.SendAsync(stanza);
        await link.AssertControlAsync("reset", refused);
        Assert.Contains("<policy-violation ", Text(await stranger.ReceiveToEndAsync()), StringComparison.Ordinal);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_limited_total", "limit=before_login"]);
    }

    [Fact]
    public async Task A_browser_that_does_not_log_in_in_time_hears_so_and_one_that_is_relayed_needs_not()
    {
        using TestBackend http = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address, "Ecm:Clients:0:Framing=web", $"Ecm:Clients:0:Web:HttpTo={http.Address}", HalfOpen, "Ecm:Limits:LoginTimeout=4s");
        using LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        using BrowserConnection relayed = await BrowserConnection.ConnectAsync(ecm.Clients);
        await relayed.SendAsync("GET /bosh HTTP/1.1\r\n\r\n");
        using BrowserConnection quick = await BrowserConnection.UpgradedAsync(ecm.Clients);
        ulong loggedIn = await OpenAsync(quick, link);
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{loggedIn}}"]}""");
        using BrowserConnection slow = await BrowserConnection.UpgradedAsync(ecm.Clients);
        ulong id = await OpenAsync(slow, link);

        Assert.StartsWith("<open ", await slow.ReceiveTextAsync());
        Assert.Contains("<connection-timeout ", await slow.ReceiveTextAsync(), StringComparison.Ordinal);
        await slow.AssertTextAsync(BrowserConnection.Close);
        await slow.AssertClosesAsync(1000);
        slow.Dispose();
        await link.AssertControlAsync("reset", id);
        await ecm.HasClosedAsync(1, "ecm", "login_timeout");
        await ecm.HasClientsAsync(2);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);
        relayed.Dispose();
        await ecm.HasClientsAsync(1);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);
        quick.Dispose();
        await ecm.ReachesAsync(0, "megaphone_clients_logged_in");
    }

    [Fact]
    public async Task Before_the_login_messages_of_browsers_are_short()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address, "Ecm:Clients:0:Framing=web", "Ecm:Limits:BeforeLogin:StanzaBytes=8K");
        using LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        string stanza = $"<a>{new string('x', 10_000)}</a>";
        using BrowserConnection client = await BrowserConnection.UpgradedAsync(ecm.Clients);
        ulong id = await OpenAsync(client, link);
        await link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}"]}""");
        await ecm.ReachesAsync(1, "megaphone_clients_logged_in");
        await client.SendTextAsync(stanza);
        Assert.Equal(stanza, (await link.ReceiveAsync()).Text);

        using BrowserConnection stranger = await BrowserConnection.UpgradedAsync(ecm.Clients);
        ulong refused = await OpenAsync(stranger, link);
        await stranger.SendTextAsync(stanza);
        await link.AssertControlAsync("reset", refused);
        await stranger.AssertClosesAsync(1009);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_limited_total", "limit=before_login"]);
    }

    private static async Task<ulong> OpenAsync(BrowserConnection client, LinkPeer link)
    {
        await client.SendTextAsync(BrowserConnection.Open);
        return (await link.ReceiveAsync()).Id;
    }

    private static async Task<ulong> OpenAsync(TestConnection client, LinkPeer link)
    {
        await client.SendAsync(XmppClient.Header);
        Packet packet = await link.ReceiveAsync();
        Assert.Equal(XmppClient.Header, packet.Text);
        return packet.Id;
    }

    private static string Text(byte[] bytes) => Encoding.ASCII.GetString(bytes);
}
