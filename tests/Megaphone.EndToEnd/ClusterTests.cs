using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>An ECM in front of three ejabberd nodes that are one cluster.</summary>
public sealed class ClusterTests : IAsyncLifetime
{
    private IReadOnlyList<Ejabberd> _nodes = [];
    private MegaphoneProcess _ecm = null!;

    public async Task InitializeAsync()
    {
        _nodes = await Ejabberd.StartClusterAsync(3, "hibernate_after: 1");
        _ecm = await MegaphoneProcess.StartAsync(
        [
            "Ecm:Clients:0:Listen=127.0.0.1:0", "Ecm:Clients:0:Framing=stanza", "Ecm:Link:RetryMax=500ms", "Ecm:Proxy=v2",
            .. _nodes.Select((node, i) => $"Ecm:Link:To:{i}={node.LinkListener}"),
        ]);
        await _ecm.HasLinksAsync(3, "ecm");
    }

    public async Task DisposeAsync()
    {
        _ecm.Dispose();
        foreach (Ejabberd node in _nodes.Reverse()) await node.DisposeAsync();
    }

    [Fact]
    public async Task Users_on_different_nodes_chat_and_a_killed_node_ends_only_its_own()
    {
        XmppClient[] users = await LogInAsync(3);
        foreach (Ejabberd node in _nodes) Assert.Equal(1, await OwnSessionsAsync(node));
        await ChatAsync(users);

        int dead = await NodeOfAsync(users[0]);
        await _nodes[dead].KillAsync();
        Assert.EndsWith("<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
            await users[0].ReceiveToEndAsync(), StringComparison.Ordinal);
        await ChatAsync(users[1..]);
        Assert.Equal(200, (await _ecm.GetAsync("/readyz")).Status);

        // A new login finds a place at the others, and they know it.
        users[0].Dispose();
        users[0] = (await LogInAsync(1))[0];
        await ChatAsync(users);

        // Back in the cluster, it has the fewest.
        await _nodes[dead].StartAgainAsync();
        await _ecm.HasLinksAsync(3, "ecm");
        XmppClient fourth = (await LogInAsync(1))[0];
        Assert.Equal(dead, await NodeOfAsync(fourth));
        await ChatAsync([.. users, fourth]);
        foreach (XmppClient user in users.Append(fourth)) user.Dispose();
    }

    [Fact]
    public async Task A_node_that_drains_gets_no_new_users_and_keeps_those_that_it_has_until_it_stops()
    {
        XmppClient[] users = await LogInAsync(3);
        int draining = await NodeOfAsync(users[0]);
        await _nodes[draining].ControlAsync("megaphone_drain");
        string line = $"every link to {_nodes[draining].LinkListener} is draining\n";
        await BoundedWait.UntilAsync(async () => await _ecm.GetAsync("/readyz") == (200, "ready\n" + line), () => "the ECM to know");

        XmppClient[] later = await LogInAsync(4);
        foreach (XmppClient user in later) Assert.NotEqual(draining, await NodeOfAsync(user));
        Assert.Equal(1, await OwnSessionsAsync(_nodes[draining]));
        await ChatAsync([.. users, later[0]]);

        await _nodes[draining].StopAsync();

        // ejabberd's own reset, or system-shutdown, whichever of the two ends first: the session or its link.
        Assert.Matches("<stream:error><(reset|system-shutdown) ", await users[0].ReceiveToEndAsync());
        await ChatAsync([.. users[1..], later[0]]);

        // Started again, it is as it was.
        await _nodes[draining].StartAgainAsync();
        await _ecm.HasLinksAsync(3, "ecm");
        XmppClient last = (await LogInAsync(1))[0];
        Assert.Equal(draining, await NodeOfAsync(last));
        foreach (XmppClient user in users.Concat(later).Append(last)) user.Dispose();
    }

    [Fact]
    public async Task A_session_is_resumed_over_another_node_while_its_own_lives_and_is_a_new_login_after_its_death()
    {
        XmppClient friend = (await LogInAsync(1))[0];
        (XmppClient first, string token) = await LogInToResumeAsync();
        int home = await NodeOfAsync(first);

        // It sleeps, its connection breaks, and what is sent to it meanwhile waits.
        await _nodes[home].ComesToAsync("{current_function,{erlang,hibernate,3}}", $"process_info({SessionOf(first)}, current_function)");
        first.Abort();
        await friend.SendMessageAsync(first.Address, "while you were away");
        (XmppClient second, string answer) = await ResumeAsync(token);
        Assert.Contains("<resumed ", answer, StringComparison.Ordinal);
        await second.ExpectAsync("while you were away</body></message>");
        await friend.SendMessageAsync(first.Address, "welcome back");
        await second.ExpectAsync("welcome back</body></message>");

        // The session has moved to the node of its new connection. When that dies, nothing is left to be resumed.
        int now = await NodeOfAsync(first);
        Assert.NotEqual(home, now);
        await _nodes[now].KillAsync();
        await second.ReceiveToEndAsync();
        (XmppClient third, answer) = await ResumeAsync(token);
        Assert.Contains("item-not-found", answer, StringComparison.Ordinal);
        third.Dispose();
        using XmppClient fresh = (await LogInAsync(1))[0];
        first.Dispose();
        second.Dispose();
        friend.Dispose();
    }

    private static async Task<long> OwnSessionsAsync(Ejabberd node) =>
        await node.NumberAsync("length([x || S <- ets:tab2list(session), node(element(2, element(2, S))) =:= node()])");

    private static string SessionOf(XmppClient user)
    {
        string[] parts = user.Address.Split('@', '/');
        return $"ejabberd_sm:get_session_pid(<<\"{parts[0]}\">>, <<\"{parts[1]}\">>, <<\"{parts[2]}\">>)";
    }

    private async Task<XmppClient[]> LogInAsync(int count)
    {
        XmppClient[] users = new XmppClient[count];
        for (int i = 0; i < count; i++)
        {
            users[i] = await XmppClient.ConnectAsync(_ecm.Clients);
            await users[i].LogInAsync();
        }

        return users;
    }

    /// <summary>A user whose session may be resumed (XEP-0198), and the id for that.</summary>
    private async Task<(XmppClient User, string Id)> LogInToResumeAsync()
    {
        XmppClient user = await XmppClient.ConnectAsync(_ecm.Clients);
        await user.LogInAsync("juliet", "balcony");
        return (user, await user.EnableResumptionAsync());
    }

    private async Task<(XmppClient User, string Answer)> ResumeAsync(string id)
    {
        XmppClient user = await XmppClient.ConnectAsync(_ecm.Clients);
        return (user, await user.ResumeAsync("juliet", id));
    }

    private static async Task ChatAsync(XmppClient[] users)
    {
        foreach (XmppClient from in users)
        {
            foreach (XmppClient to in users.Where(to => to != from))
            {
                string text = Guid.NewGuid().ToString("N");
                await from.SendMessageAsync(to.Address, text);
                await to.ExpectAsync($"{text}</body></message>");
            }
        }
    }

    /// <summary>The node that a user's session is on.</summary>
    private async Task<int> NodeOfAsync(XmppClient user)
    {
        foreach ((Ejabberd node, int i) in _nodes.Select((node, i) => (node, i)))
        {
            try
            {
                string name = await node.EvaluateAsync($"atom_to_list(node({SessionOf(user)}))");
                return int.Parse(Regex.Match(name, @"127\.0\.0\.(\d)").Groups[1].Value) - 1;
            }
            catch (Exception e) when (e is InvalidOperationException or TimeoutException)
            {
                // That node is dead.
            }
        }

        throw new InvalidOperationException("No node knows the session.");
    }
}
