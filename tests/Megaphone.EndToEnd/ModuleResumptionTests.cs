namespace Megaphone.EndToEnd;

/// <summary>Links between the ECM and ejabberd that break and come back (section 7 of the link protocol).</summary>
public sealed class ModuleResumptionTests : IAsyncLifetime
{
    private const int Pairs = 20;
    private const int Cuts = 30;
    private const int Sleepers = 100;

    /// <summary>How much work sleeping sessions' processes have done: a number that grows by the same at each look while nobody wakes.</summary>
    private const string WorkOfSleepers =
        "Of = fun(P) -> [{_, F}, {_, R}] = process_info(P, [current_function, reductions]), {F, R} end, "
        + "All = [Of(P) || P <- processes(), {dictionary, D} <- [process_info(P, dictionary)], "
        + "proplists:get_value('$initial_call', D) =:= {xmpp_stream_in, init, 1}], "
        + $"Asleep = [R || {{{{erlang, hibernate, 3}}, R}} <- All], case length(Asleep) of 100 -> lists:sum(Asleep); _ -> 0 end";

    private readonly List<XmppClient> _clients = [];
    private Ejabberd _ejabberd = null!;

    public async Task InitializeAsync() => _ejabberd = await Ejabberd.StartWithModuleAsync("hibernate_after: 1");

    public async Task DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await _ejabberd.DisposeAsync();
    }

    [Fact]
    public async Task Conversations_go_on_over_a_link_that_is_cut_again_and_again()
    {
        using TcpProxy between = new(_ejabberd.LinkListener);
        using MegaphoneProcess ecm = await EcmAsync(between.Address);
        int descriptors = await ecm.IdleDescriptorsAsync();
        await LogInAsync(ecm, 2 * Pairs);

        using CancellationTokenSource enough = new();
        Task talking = TalkAsync(enough.Token);
        await between.CutAgainAndAgainAsync(Cuts, ecm);

        await enough.CancelAsync();
        await BoundedWait.WithinAsync(talking, "the last messages");
        await AssertNobodyWasEndedAsync(ecm);
        Assert.Equal(Cuts, await CounterAsync("links_resumed"));
        await LogOutAsync();
        await ecm.DescriptorsAreBackToAsync(descriptors);
    }

    [Fact]
    public async Task Sessions_sleep_through_a_cut()
    {
        using TcpProxy between = new(_ejabberd.LinkListener);
        using MegaphoneProcess ecm = await EcmAsync(between.Address);
        await LogInAsync(ecm, Sleepers);
        await BoundedWait.UntilAsync(async () => await _ejabberd.NumberAsync(WorkOfSleepers) > 0, () => $"{Sleepers} sleeping sessions");
        long before = await _ejabberd.NumberAsync(WorkOfSleepers);
        long lookedAt = await _ejabberd.NumberAsync(WorkOfSleepers);

        between.CutOne();
        await ecm.ReachesAsync(1, "megaphone_link_resumptions_total", "role=ecm");

        Assert.Equal(lookedAt - before, await _ejabberd.NumberAsync(WorkOfSleepers) - lookedAt);
        await _clients[0].SendMessageAsync(_clients[1].Address, "are you awake?");
        await _clients[1].ExpectAsync("are you awake?<");
    }

    [Fact]
    public async Task Conversations_go_on_while_ejabberd_restarts_the_listener()
    {
        using MegaphoneProcess ecm = await EcmAsync(_ejabberd.LinkListener);
        await LogInAsync(ecm, 2 * Pairs);
        using CancellationTokenSource enough = new();
        Task talking = TalkAsync(enough.Token);

        for (int restarts = 1; restarts <= 2; restarts++)
        {
            string before = $"hibernate_after: {restarts}", after = $"hibernate_after: {restarts + 1}";
            await _ejabberd.ReconfigureAsync(configuration => configuration.Replace(before, after));
            await ComesBackAsync(restarts);
        }

        await enough.CancelAsync();
        await BoundedWait.WithinAsync(talking, "the last messages");
        await AssertNobodyWasEndedAsync(ecm);
        await LogOutAsync();
    }

    [Fact]
    public async Task Clients_of_an_ejabberd_that_is_stopped_are_told_at_once()
    {
        using MegaphoneProcess ecm = await EcmAsync(_ejabberd.LinkListener);
        await LogInAsync(ecm, 2 * Pairs);

        await _ejabberd.StopAsync();

        foreach (XmppClient client in _clients) await client.ReceiveToEndAsync();
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_link_cuts_total", "role=ecm"]);
    }

    [Fact]
    public async Task An_ECM_that_is_killed_and_started_again_leaves_no_session_behind()
    {
        using (MegaphoneProcess killed = await EcmAsync(_ejabberd.LinkListener))
        {
            await LogInAsync(killed, 2 * Pairs);
            await killed.KillAsync();
        }

        await BoundedWait.UntilAsync(async () => await CounterAsync("links_cut") == 1, () => "a link that is cut");
        await _ejabberd.ComesToAsync($"{2 * Pairs}", "ets:info(session, size)");
        using MegaphoneProcess next = await EcmAsync(_ejabberd.LinkListener);
        await _ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    [Fact]
    public async Task A_user_of_an_ECM_that_is_killed_goes_on_over_another_while_the_link_is_waited_for()
    {
        using MegaphoneProcess killed = await EcmAsync(_ejabberd.LinkListener, "Ecm:Link:Name=one");
        using MegaphoneProcess other = await EcmAsync(_ejabberd.LinkListener, "Ecm:Link:Name=other");
        using XmppClient before = await XmppClient.ConnectAsync(killed.Clients);
        await before.LogInAsync("juliet");
        string id = await before.EnableResumptionAsync();
        await killed.KillAsync();
        await BoundedWait.UntilAsync(async () => await CounterAsync("links_cut") == 1, () => "a link that is cut");

        using XmppClient after = await XmppClient.ConnectAsync(other.Clients);
        Assert.Contains("<resumed ", await after.ResumeAsync("juliet", id), StringComparison.Ordinal);
        Assert.Equal(0, await CounterAsync("links_lost"));
        await _ejabberd.ComesToAsync("1", "ets:info(session, size)");
    }

    /// <summary>Waits until the link has come back that often.</summary>
    private Task ComesBackAsync(int times) => BoundedWait.UntilAsync(
        async () =>
        {
            bool isBack = await CounterAsync("links_resumed") >= times && await CounterAsync("links_cut") == await CounterAsync("links_resumed");

            // ejabberd may find its own port still in use. Then the link waits until the next reload.
            if (!isBack) await _ejabberd.ControlAsync("reload_config");
            return isBack;
        },
        () => "a link that is up again");

    private static async Task<MegaphoneProcess> EcmAsync(System.Net.IPEndPoint to, params string[] settings)
    {
        MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(to, ["Ecm:Clients:0:Framing=stanza", "Ecm:Proxy=v2", .. settings]);
        await ecm.HasLinksAsync(1, "ecm");
        return ecm;
    }

    private async Task LogInAsync(MegaphoneProcess ecm, int count)
    {
        _clients.AddRange(await Task.WhenAll(Enumerable.Range(0, count).Select(async _ =>
        {
            XmppClient client = await XmppClient.ConnectAsync(ecm.Clients);
            await client.LogInAsync();
            return client;
        })));
    }

    private async Task LogOutAsync()
    {
        foreach (XmppClient client in _clients) await client.LogOutAsync();
        await _ejabberd.ComesToAsync("0", "ets:info(session, size)");
    }

    /// <summary>All clients send numbered messages to each other in pairs, and read them, until it is enough.</summary>
    private async Task TalkAsync(CancellationToken enough)
    {
        // No more under way than a busy machine carries within a moment.
        const int UnderWay = 50;
        int[] received = new int[_clients.Count];
        await Task.WhenAll(Enumerable.Range(0, _clients.Count).Select(async i =>
        {
            XmppClient self = _clients[i], other = _clients[i ^ 1];
            int sent = 0;
            for (; !enough.IsCancellationRequested; sent++)
            {
                await self.SendMessageAsync(other.Address, $"number {sent}");
                do await Task.Delay(2, CancellationToken.None);
                while (sent - Volatile.Read(ref received[i ^ 1]) > UnderWay && !enough.IsCancellationRequested);
            }

            await self.SendMessageAsync(other.Address, $"that was all of {sent}");
        }).Concat(_clients.Select(async (client, i) =>
        {
            for (int expected = 0; ; expected++)
            {
                string next = await client.ExpectAsync("</body>");
                string body = next[(next.LastIndexOf("<body>", StringComparison.Ordinal) + 6)..^7];
                if (body == $"that was all of {expected}") return;
                Assert.Equal($"number {expected}", body);
                Volatile.Write(ref received[i], expected + 1);
            }
        })));
        Assert.All(_clients, client => Assert.DoesNotContain("<body>", client.Pending, StringComparison.Ordinal));
    }

    private async Task AssertNobodyWasEndedAsync(MegaphoneProcess ecm)
    {
        MetricsSnapshot metrics = await ecm.MetricsAsync();
        Assert.Equal(0, metrics["megaphone_sessions_closed_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_dropped_packets_total", "role=ecm"]);
        Assert.Equal(0, metrics["megaphone_protocol_errors_total", "role=ecm"]);
        foreach (string name in new[] { "sessions_ended", "links_lost", "packets_dropped", "protocol_errors", "failures", "control_ignored" })
            Assert.Equal((name, 0), (name, await CounterAsync(name)));
    }

    private Task<long> CounterAsync(string name) =>
        _ejabberd.NumberAsync($"proplists:get_value({name}, maps:get(counters, ejabberd_megaphone:info()))");
}
