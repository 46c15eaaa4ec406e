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
