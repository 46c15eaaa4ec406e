using System.Net.Sockets;

namespace Megaphone.EndToEnd;

/// <summary>Many people who log in and out as they like, over links that are cut: what is left of it when they have gone is nothing.</summary>
public sealed class ModuleCrowdTests(ModuleServer server) : IClassFixture<ModuleServer>
{
    private const int People = 2000;

    /// <summary>For how long they come and go.</summary>
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(25);

    private int _logins;
    private int _spoken;
    private int _disturbed;

    [Fact]
    public async Task When_2000_clients_log_in_and_out_at_random_while_links_are_cut_nothing_is_left()
    {
        using TcpProxy wire = new(server.Ejabberd.LinkListener);
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            wire.Address, "Ecm:Clients:0:Framing=stanza", "Ecm:Link:Count=2", "Ecm:Link:Resume=false", "Ecm:Proxy=v2");
        await ecm.HasLinksAsync(2, "ecm");
        // Once through everything, so that what ejabberd makes once and keeps is there.
        await Task.WhenAll(Enumerable.Range(0, 20).Select(seed => VisitAsync(ecm, new Random(seed))));
        await AssertEmptyAsync(ecm);
        await RenewLinksAsync(wire, ecm);
        HashSet<string> tables = await TablesAsync();
        long processes = await server.Ejabberd.NumberAsync("length(processes())");
        int descriptors = await ecm.IdleDescriptorsAsync();
        long memory = await server.Ejabberd.MemoryAsync();
        (_logins, _spoken, _disturbed) = (0, 0, 0);

        using CancellationTokenSource end = new(Duration);
        Task cutting = CutAsync(wire, new Random(1), end.Token);
        await Task.WhenAll(Enumerable.Range(1, People).Select(async seed =>
        {
            Random choose = new(seed);
            while (!end.IsCancellationRequested)
            {
                await VisitAsync(ecm, choose);
                await Task.Delay(choose.Next(2000));
            }
        }));
        await cutting;

        // It was a crowd, its links were cut, and most of it was served all the same.
        Assert.InRange(_logins, People / 8, int.MaxValue);
        Assert.InRange(_spoken, People / 8, int.MaxValue);
        Assert.InRange(_disturbed, 1, int.MaxValue);
        await AssertEmptyAsync(ecm);
        await RenewLinksAsync(wire, ecm);
        await ecm.DescriptorsAreBackToAsync(descriptors);
        HashSet<string> grown = [];
        await BoundedWait.UntilAsync(
            async () => (grown = [.. (await TablesAsync()).Except(tables)]).Count == 0, () => $"tables as they were; {string.Join(' ', grown)}");
        await server.Ejabberd.ComesToAsync($"{processes}", "length(processes())");
        Assert.InRange(await server.Ejabberd.MemoryAsync() - memory, long.MinValue, 16 << 20);
        Assert.Equal(0, (await ecm.MetricsAsync())["megaphone_protocol_errors_total", "role=ecm"]);
        // And it serves as before.
        using XmppClient client = await XmppClient.ConnectAsync(ecm.Clients);
        await client.LogInAsync();
        await client.LogOutAsync();
    }

    /// <summary>The tables that hold what belongs to sessions, with the number of their rows.</summary>
    private const string Tables =
        "lists:sort([{N, ets:info(T, size)} || T <- ets:all(), N <- [ets:info(T, name)], "
        // Caches of ejabberd's and the module's limits on log lines, which expire in their own time, and what Erlang and Mnesia keep for
        // themselves.
        + "string:find(atom_to_list(N), \"_cache\") =:= nomatch, not lists:member(N, "
        + "[ejabberd_megaphone_log, logger, code, code_names, ac_tab, inet_db, "
        + "mnesia_gvar, mnesia_stats, mnesia_decision, mnesia_transient_decision, sys_dist])])";

    /// <summary>A link remembers the ids of sessions that have ended, and takes them along.</summary>
    private async Task RenewLinksAsync(TcpProxy wire, MegaphoneProcess ecm)
    {
        await ecm.HasLinksAsync(2, "ecm");
        for (int i = 0; i < 2; i++) wire.CutOne();
        await server.Ejabberd.ComesToAsync("[0,0]", "[ets:info(T, size) || T <- ets:all(), ets:info(T, name) =:= ejabberd_megaphone_sessions]");
        await ecm.HasLinksAsync(2, "ecm");
    }

    private async Task<HashSet<string>> TablesAsync() => [.. (await server.Ejabberd.EvaluateAsync(Tables)).Trim('[', ']', '{', '}').Split("},{")];

    private async Task AssertEmptyAsync(MegaphoneProcess ecm)
    {
        await ecm.HasClientsAsync(0);
        await ecm.ReachesAsync(0, "megaphone_buffered_bytes");
        await server.Ejabberd.ComesToAsync("0", "ets:info(session, size)");
        await server.Ejabberd.ComesToAsync("0", "length([P || P <- processes(), {dictionary, D} <- [process_info(P, dictionary)], "
            + "proplists:get_value('$initial_call', D) =:= {xmpp_stream_in, init, 1}])");
    }

    /// <summary>Somebody comes, says something perhaps, and goes in one way or another.</summary>
    private async Task VisitAsync(MegaphoneProcess ecm, Random choose)
    {
        try
        {
            using XmppClient client = await XmppClient.ConnectAsync(ecm.Clients);
            if (choose.Next(20) == 0)
            {
                // Hardly here and gone again.
                if (choose.Next(2) == 0) await client.OpenAsync();
                client.Abort();
                return;
            }

            await client.LogInAsync();
            Interlocked.Increment(ref _logins);
            for (int words = choose.Next(4); words > 0; words--)
            {
                await Task.Delay(choose.Next(3000));
                await client.SendMessageAsync(client.Address, $"talking to myself {words}");
                await client.ExpectAsync($"talking to myself {words}<");
                Interlocked.Increment(ref _spoken);
            }

            if (choose.Next(3) == 0) client.Abort();
            else await client.LogOutAsync();
        }
        catch (Exception gone) when (gone is IOException or SocketException)
        {
            // A link was cut, or was down when somebody came.
            Interlocked.Increment(ref _disturbed);
        }
    }

    private static async Task CutAsync(TcpProxy wire, Random choose, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            await Task.Delay(choose.Next(1000, 5000), CancellationToken.None);
            wire.CutOne();
        }
    }
}
