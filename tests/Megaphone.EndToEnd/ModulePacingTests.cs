namespace Megaphone.EndToEnd;

/// <summary>Logins at ejabberd's pace: what the module says of them ends turns, and who waits is there after a reload.</summary>
public sealed class ModulePacingTests(ModuleServer server) : IClassFixture<ModuleServer>
{
    private const string Waiting = "megaphone_logins_waiting";
    private const string UnderWay = "megaphone_logins_under_way";

    [Theory]
    [InlineData("none")]
    [InlineData("v2")]
    public async Task Many_log_in_one_after_the_other_behind_one_who_does_not(string proxy)
    {
        using MegaphoneProcess ecm = await EcmAsync($"Ecm:Proxy={proxy}");
        using XmppClient silent = await XmppClient.ConnectAsync(ecm.Clients);
        await silent.OpenAsync();
        List<XmppClient> clients = [];
        for (int i = 0; i < 20; i++) clients.Add(await XmppClient.ConnectAsync(ecm.Clients));
        Task logins = Task.WhenAll(clients.Select(client => client.LogInAsync()));
        await ecm.ReachesAsync(20, Waiting);
        await ecm.ReachesAsync(1, UnderWay);
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);

        await logins;
        await ecm.ReachesAsync(0, Waiting);
        await ecm.ReachesAsync(0, UnderWay);
        await ecm.ReachesAsync(20, "megaphone_clients_logged_in");
        await silent.SendAsync("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>");
        await silent.ExpectAsync("<success");
        foreach (XmppClient client in clients) await client.LogOutAsync();
        silent.Dispose();
        await ecm.HasClientsAsync(0);
    }

    [Fact]
    public async Task Who_waits_goes_on_waiting_after_a_reload_and_has_its_turn()
    {
        using MegaphoneProcess ecm = await EcmAsync("Ecm:Proxy=v1");
        using XmppClient silent = await XmppClient.ConnectAsync(ecm.Clients);
        await silent.OpenAsync();
        using XmppClient first = await XmppClient.ConnectAsync(ecm.Clients);
        using XmppClient second = await XmppClient.ConnectAsync(ecm.Clients);
        Task logins = Task.WhenAll(first.LogInAsync(), second.LogInAsync());
        await ecm.ReachesAsync(2, Waiting);
        await ecm.ReloadAsync(done: 1);
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_clients_logged_in"]);
        await logins;
        await first.SendMessageAsync(second.Address, "good morning");
        await second.ExpectAsync("good morning");
        await ecm.ReachesAsync(0, Waiting);
        await first.LogOutAsync();
        await second.LogOutAsync();
    }

    private async Task<MegaphoneProcess> EcmAsync(params string[] settings)
    {
        MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            server.Ejabberd.LinkListener, ["Ecm:Clients:0:Framing=stanza", "Ecm:Logins:AtOnce=1", .. settings]);
        await ecm.HasLinksAsync(1, "ecm");
        return ecm;
    }
}
