using System.Net;
using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>ejabberd's mod_fail2ban bans the clients' own addresses, not their ECM's.</summary>
public sealed class BannedAddressTests : IAsyncLifetime
{
    private const int MaxFailures = 3;

    private static readonly IPAddress Guesser = IPAddress.Parse("127.0.0.8");
    private static readonly IPAddress Other = IPAddress.Parse("127.0.0.9");

    private Ejabberd _ejabberd = null!;

    public async Task InitializeAsync() => _ejabberd = await Ejabberd.StartWithModulesAsync(
        $"mod_fail2ban: {{ c2s_max_auth_failures: {MaxFailures} }}", "proxy_header: required");

    public async Task DisposeAsync() => await _ejabberd.DisposeAsync();

    [Fact]
    public async Task Who_guesses_passwords_is_banned_and_hears_it_and_nobody_else_behind_the_same_ECM_is()
    {
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            _ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza", "Ecm:Proxy=v2");
        await ecm.HasLinksAsync(1, "ecm");
        using XmppClient before = await XmppClient.ConnectAsync(ecm.Clients, from: Guesser);
        await before.LogInAsync("romeo", "before");

        for (int failures = 1; failures <= MaxFailures; failures++)
        {
            using XmppClient guesser = await XmppClient.ConnectAsync(ecm.Clients, from: Guesser);
            await guesser.OpenAsync();
            string wrong = Convert.ToBase64String(Encoding.UTF8.GetBytes("\0juliet\0wrong-horse"));
            await guesser.SendAsync($"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{wrong}</auth>");
            if (failures < MaxFailures) await guesser.ExpectAsync("</failure>");
            else AssertTellsOfBan(await guesser.ReceiveToEndAsync());
        }

        using XmppClient banned = await XmppClient.ConnectAsync(ecm.Clients, from: Guesser);
        await banned.SendAsync(XmppClient.Header);
        AssertTellsOfBan(await banned.ReceiveToEndAsync());

        using XmppClient other = await XmppClient.ConnectAsync(ecm.Clients, from: Other);
        await other.LogInAsync("juliet", "balcony");
        await other.SendMessageAsync(before.Address, "banned?");
        await before.ExpectAsync("banned?");
        await before.SettleAsync();
        Assert.Equal(2, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);
        Assert.Equal(1, (await ecm.MetricsAsync())["megaphone_links", "role=ecm"]);
    }

    private static void AssertTellsOfBan(string said)
    {
        Assert.Contains("<stream:error><policy-violation ", said, StringComparison.Ordinal);
        Assert.Contains($"Too many ({MaxFailures}) failed authentications from this IP address ({Guesser})", said, StringComparison.Ordinal);
        Assert.EndsWith("</stream:stream>", said, StringComparison.Ordinal);
    }
}
