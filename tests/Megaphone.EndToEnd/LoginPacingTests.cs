using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>Logins go at the pace of the server (section 8 of the protocol): there are turns, and who has none waits.</summary>
public sealed class LoginPacingTests : IDisposable
{
    private const string Framing = "Ecm:Clients:0:Framing=stanza";
    private const string OneAtOnce = "Ecm:Logins:AtOnce=1";
    private const string Refusal =
        "<stream:error><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";

    private readonly TestHub _hub = new();

    public void Dispose() => _hub.Dispose();

    [Fact]
    public async Task Nothing_of_a_client_reaches_the_server_before_its_turn_and_everything_does_then()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, OneAtOnce, "Ecm:Proxy=v1");
        using LinkPeer link = await LinkAsync(ecm);
        using TestConnection first = await TestConnection.ConnectAsync(ecm.Clients);
        using TestConnection second = await TestConnection.ConnectAsync(ecm.Clients);
        await link.AssertStaysSilentAsync();
        ulong one = await OpenAsync(first, link, proxied: true);
        await second.SendAsync(XmppClient.Header);
        await second.SendAsync("<auth/>");
        await WaitAsync(ecm, waiting: 1, underWay: 1);
        await link.AssertStaysSilentAsync();

        await LoggedInAsync(link, one);
        Packet proxy = await link.ReceiveAsync();
        Assert.Equal($"PROXY TCP4 127.0.0.1 127.0.0.1 {second.Local.Port} {ecm.Clients.Port}\r\n", proxy.Text);
        Assert.Equal((proxy.Id, XmppClient.Header), await PieceAsync(link));
        Assert.Equal((proxy.Id, "<auth/>"), await PieceAsync(link));
        await WaitAsync(ecm, waiting: 0, underWay: 1);
        await LoggedInAsync(link, proxy.Id);
        await WaitAsync(ecm, waiting: 0, underWay: 0);
        await first.SendAsync("<iq/>");
        Assert.Equal((one, "<iq/>"), await PieceAsync(link));
    }

    [Fact]
    public async Task Who_does_not_log_in_has_a_turn_for_five_seconds_and_goes_on_without()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, OneAtOnce);
        using LinkPeer link = await LinkAsync(ecm);
        using TestConnection silent = await TestConnection.ConnectAsync(ecm.Clients);
        using TestConnection next = await TestConnection.ConnectAsync(ecm.Clients);
        long began = Environment.TickCount64;
        ulong one = await OpenAsync(silent, link);
        ulong other = await OpenAsync(next, link);
        Assert.InRange(Environment.TickCount64 - began, 4900, 60_000);
        await silent.SendAsync("<auth/>");
        Assert.Equal((one, "<auth/>"), await PieceAsync(link));
        await next.SendAsync("<auth/>");
        Assert.Equal((other, "<auth/>"), await PieceAsync(link));
    }

    [Fact]
    public async Task Who_gives_up_is_forgotten_and_comes_again_behind_the_others()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, OneAtOnce);
        using LinkPeer link = await LinkAsync(ecm);
        using TestConnection first = await TestConnection.ConnectAsync(ecm.Clients);
        ulong one = await OpenAsync(first, link);
        TestConnection impatient = await WaitingAsync(ecm, 1, "impatient");
        using TestConnection patient = await WaitingAsync(ecm, 2, "patient");
        impatient.EndSending();
        await WaitAsync(ecm, waiting: 1, underWay: 1);
        await impatient.AssertEndsAsync();
        impatient.Dispose();
        using TestConnection again = await WaitingAsync(ecm, 2, "again");
        await ecm.HasClientsAsync(3);

        await LoggedInAsync(link, one);
        foreach (string name in (string[])["patient", "again"])
        {
            Packet header = await link.ReceiveAsync();
            Assert.Contains($"from='{name}'", header.Text, StringComparison.Ordinal);
            await LoggedInAsync(link, header.Id);
        }

        await WaitAsync(ecm, waiting: 0, underWay: 0);
    }

    [Fact]
    public async Task Who_has_waited_too_long_hears_so_and_its_server_nothing()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, OneAtOnce, "Ecm:Logins:MaxWait=1s");
        using LinkPeer link = await LinkAsync(ecm);
        using TestConnection first = await TestConnection.ConnectAsync(ecm.Clients);
        await OpenAsync(first, link);
        using TestConnection late = await WaitingAsync(ecm, 1, "late");
        string heard = Encoding.ASCII.GetString(await late.ReceiveToEndAsync());
        Assert.StartsWith("<?xml version='1.0'?><stream:stream ", heard, StringComparison.Ordinal);
        Assert.EndsWith(Refusal, heard, StringComparison.Ordinal);
        late.EndSending();
        await ecm.HasClientsAsync(1);
        await link.AssertStaysSilentAsync();
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_limited_total", "limit=login_wait"]);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_ecm_stream_errors_total", "condition=resource-constraint"]);
    }

    [Fact]
    public async Task Browsers_wait_as_well_and_hear_it_in_frames()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _hub.Address, "Ecm:Clients:0:Framing=web", OneAtOnce, "Ecm:Proxy=v1", "Ecm:Logins:MaxWait=6s");
        using LinkPeer link = await LinkAsync(ecm);
        using BrowserConnection first = await BrowserConnection.UpgradedAsync(ecm.Clients);
        using BrowserConnection second = await BrowserConnection.UpgradedAsync(ecm.Clients);
        await link.AssertStaysSilentAsync();
        await first.SendTextAsync(BrowserConnection.Open);
        ulong one = await ProxiedAsync();
        await second.SendTextAsync(BrowserConnection.Open);
        await WaitAsync(ecm, waiting: 1, underWay: 1);
        await LoggedInAsync(link, one);
        await ProxiedAsync();

        // The second one keeps its turn for five seconds; two more wait for it.
        using BrowserConnection third = await BrowserConnection.UpgradedAsync(ecm.Clients);
        await third.SendTextAsync(BrowserConnection.Open);
        await WaitAsync(ecm, waiting: 1, underWay: 1);
        using BrowserConnection late = await BrowserConnection.UpgradedAsync(ecm.Clients);
        await late.SendTextAsync(BrowserConnection.Open);
        await ProxiedAsync();
        Assert.StartsWith("<open ", await late.ReceiveTextAsync());
        Assert.Contains("<resource-constraint ", await late.ReceiveTextAsync(), StringComparison.Ordinal);
        await late.AssertTextAsync(BrowserConnection.Close);
        await late.AssertClosesAsync(1000);
        await link.AssertStaysSilentAsync();

        async Task<ulong> ProxiedAsync()
        {
            Packet proxy = await link.ReceiveAsync();
            Assert.StartsWith("PROXY TCP4 127.0.0.1 ", proxy.Text, StringComparison.Ordinal);
            (ulong id, string header) = await PieceAsync(link);
            Assert.Equal(proxy.Id, id);
            Assert.StartsWith("<stream:stream ", header, StringComparison.Ordinal);
            return id;
        }
    }

    [Fact]
    public async Task The_time_for_the_login_begins_with_the_turn()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, OneAtOnce, "Ecm:Limits:LoginTimeout=3s");
        using LinkPeer link = await LinkAsync(ecm);
        using TestConnection first = await TestConnection.ConnectAsync(ecm.Clients);
        long began = Environment.TickCount64;
        ulong one = await OpenAsync(first, link);
        using TestConnection next = await WaitingAsync(ecm, 1, "next");
        await link.AssertControlAsync("reset", one);
        ulong other = (await link.ReceiveAsync()).Id;
        await link.AssertControlAsync("reset", other);
        Assert.InRange(Environment.TickCount64 - began, 5900, 60_000);
        await ecm.ReachesAsync(2, "megaphone_limited_total", "limit=login_timeout");
    }

    [Theory]
    [InlineData(false, OneAtOnce)]
    [InlineData(true, "Ecm:Logins:AtOnce=0")]
    public async Task Nobody_waits_where_the_server_does_not_say_who_has_logged_in_nor_where_it_is_not_wanted(bool logins, string atOnce)
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, atOnce);
        using LinkPeer link = await _hub.AcceptAsync(logins: logins);
        await ecm.HasLinksAsync(1, "ecm");
        using TestConnection first = await TestConnection.ConnectAsync(ecm.Clients);
        using TestConnection second = await TestConnection.ConnectAsync(ecm.Clients);
        await OpenAsync(first, link);
        await OpenAsync(second, link);
        await WaitAsync(ecm, waiting: 0, underWay: 0);
    }

    [Fact]
    public async Task Those_who_wait_on_a_link_that_is_lost_go_with_it_and_hear_why()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(_hub.Address, Framing, OneAtOnce);
        LinkPeer link = await LinkAsync(ecm);
        using TestConnection first = await TestConnection.ConnectAsync(ecm.Clients);
        await OpenAsync(first, link);
        using TestConnection waits = await WaitingAsync(ecm, 1, "waits");
        link.Abort();
        Assert.EndsWith(XmppClient.Shutdown, Encoding.ASCII.GetString(await waits.ReceiveToEndAsync()), StringComparison.Ordinal);
        await first.ReceiveToEndAsync();

        // They have not ended their direction yet; their turns are over all the same.
        using LinkPeer again = await LinkAsync(ecm);
        await ecm.HasClientsAsync(2);
        await WaitAsync(ecm, waiting: 0, underWay: 0);
        using TestConnection next = await TestConnection.ConnectAsync(ecm.Clients);
        await OpenAsync(next, again);
    }

    private static async Task<TestConnection> WaitingAsync(MegaphoneProcess ecm, int waiting, string name)
    {
        TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.SendAsync(XmppClient.Header.Replace(" to=", $" from='{name}' to=", StringComparison.Ordinal));
        await WaitAsync(ecm, waiting, underWay: 1);
        return client;
    }

    private static async Task WaitAsync(MegaphoneProcess ecm, int waiting, int underWay)
    {
        await ecm.ReachesAsync(waiting, "megaphone_logins_waiting");
        await ecm.ReachesAsync(underWay, "megaphone_logins_under_way");
    }

    private static Task LoggedInAsync(LinkPeer link, ulong id) => link.SendControlAsync($$"""{"op":"loggedIn","ids":["{{id}}"]}""");

    private static async Task<ulong> OpenAsync(TestConnection client, LinkPeer link, bool proxied = false)
    {
        await client.SendAsync(XmppClient.Header);
        if (proxied) Assert.StartsWith("PROXY ", (await link.ReceiveAsync()).Text, StringComparison.Ordinal);
        (ulong id, string header) = await PieceAsync(link);
        Assert.Equal(XmppClient.Header, header);
        return id;
    }

    private static async Task<(ulong Id, string Text)> PieceAsync(LinkPeer link)
    {
        Packet packet = await link.ReceiveAsync();
        return (packet.Id, packet.Text);
    }

    private async Task<LinkPeer> LinkAsync(MegaphoneProcess ecm)
    {
        LinkPeer link = await _hub.AcceptAsync(logins: true);
        await ecm.HasLinksAsync(1, "ecm");
        return link;
    }
}
