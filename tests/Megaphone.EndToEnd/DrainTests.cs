using System.Text;

namespace Megaphone.EndToEnd;

/// <summary>SIGUSR1 begins a drain, and SIGTERM ends with one: clients are told, evenly, and the server keeps what they can resume.</summary>
public sealed class DrainTests : IDisposable
{
    private const int SigUsr1 = 10, SigTerm = 15;

    private const string Stream = XmppClient.Header, Shutdown = XmppClient.Shutdown;

    private readonly List<IDisposable> _opened = [];

    [Fact]
    public async Task Clients_are_told_one_after_the_other_and_new_ones_are_refused()
    {
        MegaphoneProcess ecm = await BothAsync("Ecm:Drain:Over=2s");
        List<TestConnection> clients = await ConnectAsync(ecm, 20);
        TestConnection silent = await TestConnection.ConnectAsync(ecm.Clients);
        _opened.Add(silent);
        await ecm.HasClientsAsync(21);

        long began = Environment.TickCount64;
        ecm.Process.Signal(SigUsr1);
        await BoundedWait.UntilAsync(async () => await ecm.GetAsync("/readyz") == (503, "draining\n"), () => "readiness");
        using (TestConnection refused = await TestConnection.ConnectAsync(ecm.Clients)) await refused.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_refused_total", "role=ecm", "reason=draining");

        // Half of them are told in about half of the time, and not before.
        await ecm.ReachesAtLeastAsync(10, "megaphone_sessions_closed_total", "role=ecm", "reason=drained");
        Assert.InRange(Environment.TickCount64 - began, 800, int.MaxValue);
        foreach (TestConnection client in clients) Assert.Equal(Shutdown, await ToEndAsync(client));

        // Who had not said anything yet hears a header first.
        Assert.EndsWith(">" + Shutdown, await ToEndAsync(silent), StringComparison.Ordinal);
        Assert.InRange(Environment.TickCount64 - began, 1800, int.MaxValue);
        await ecm.HasClosedAsync(20, "ecm", "drained");
        Assert.False(ecm.Process.HasEnded);
        Assert.Equal(1, ecm.LogLines("SIGUSR1: draining"));
    }

    [Fact]
    public async Task Clients_are_sent_to_another_host_where_one_is_configured()
    {
        MegaphoneProcess ecm = await BothAsync("Ecm:Drain:Over=0s", "Ecm:Drain:SeeOtherHost=[2001:db8::7]:5222");
        TestConnection client = (await ConnectAsync(ecm, 1))[0];
        ecm.Process.Signal(SigUsr1);
        Assert.Equal(
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[2001:db8::7]:5222</see-other-host></stream:error>"
            + "</stream:stream>",
            await ToEndAsync(client));
    }

    [Fact]
    public async Task A_client_that_has_a_part_of_a_stanza_is_told_behind_the_rest()
    {
        using TestBackend backend = new();
        MegaphoneProcess ecm = await BothAsync(backend.Setting, "Ecm:Drain:Over=500ms");
        TestConnection client = await TestConnection.ConnectAsync(ecm.Clients), other = await TestConnection.ConnectAsync(ecm.Clients);
        _opened.AddRange([client, other]);
        await client.SendAsync(Stream);
        using TestConnection server = await backend.AcceptAsync();
        await server.SendAsync(Stream + "<message><body>long ");
        await client.ReceiveTextAsync((Stream + "<message><body>long ").Length);

        ecm.Process.Signal(SigUsr1);
        Assert.EndsWith(Shutdown, await ToEndAsync(other), StringComparison.Ordinal);
        await server.SendAsync("words</body></message>");
        Assert.Equal("words</body></message>" + Shutdown, await ToEndAsync(client));
    }

    [Fact]
    public async Task Where_packets_are_pieces_a_full_one_goes_on_however_it_ends()
    {
        using TestHub hub = new();
        MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            hub.Address, "Ecm:Clients:0:Framing=stanza", "Ecm:Clients:0:MaxStanzaBytes=10000", "Ecm:MaxPacketBytes=20000", "Ecm:Drain:Over=0s");
        _opened.Add(ecm);
        using LinkPeer link = await hub.AcceptAsync(pieces: true);
        await ecm.HasLinksAsync(1, "ecm");
        TestConnection client = await TestConnection.ConnectAsync(ecm.Clients), other = await TestConnection.ConnectAsync(ecm.Clients);
        _opened.AddRange([client, other]);
        await client.SendAsync(Stream);
        ulong id = (await link.ReceiveAsync()).Id;
        await other.SendAsync(Stream);
        ulong another = (await link.ReceiveAsync()).Id;

        // Of the same length: one ends there, which the space says.
        string half = $"<message>{new string('x', 20_000 - 32 - 13)}<b/>", whole = $"<{new string('x', 20_000 - 32 - 3)}/>";
        await link.SendAsync(id, Stream);
        await link.SendAsync(id, half);
        await link.SendAsync(another, Stream);
        await link.SendAsync(another, whole);
        await link.SendAsync(another, " ");
        await client.ReceiveTextAsync(Stream.Length + half.Length);
        await other.ReceiveTextAsync(Stream.Length + whole.Length + 1);

        ecm.Process.Signal(SigUsr1);
        Assert.Equal(Shutdown, await ToEndAsync(other));
        await link.AssertControlAsync("reset", another);
        await link.SendAsync(id, "</message>");
        Assert.Equal("</message>" + Shutdown, await ToEndAsync(client));
    }

    [Fact]
    public async Task What_waits_for_clients_whose_bytes_are_not_known_is_sent_before_they_are_closed()
    {
        using TestBackend backend = new();
        MegaphoneProcess ecm = await MegaphoneProcess.BothAsync(backend.Setting, "Ecm:Drain:Over=0s", "Ecm:Buffers:HighBytes=16M",
            "Ecm:Buffers:LimitBytes=32M");
        _opened.Add(ecm);
        using TestConnection client = await TestConnection.ConnectAsync(ecm.Clients);
        await client.SendAsync("begin");
        using TestConnection server = await backend.AcceptAsync();
        byte[] words = Sample.Bytes(12 << 20);
        await server.SendAsync(words);
        await ecm.ReachesAtLeastAsync(1 << 20, "megaphone_buffered_bytes", "role=ecm");
        await ecm.ReachesAtLeastAsync(words.Length, "megaphone_link_bytes_total", "role=ecm", "direction=in");
        ecm.Process.Signal(SigUsr1);
        Sample.AssertSame(words, await client.ReceiveToEndAsync());
        await ecm.HasClosedAsync(1, "ecm", "drained");
    }

    [Fact]
    public async Task SIGTERM_tells_everybody_before_the_process_ends()
    {
        MegaphoneProcess ecm = await BothAsync();
        List<TestConnection> clients = await ConnectAsync(ecm, 50);
        ecm.Process.Signal(SigTerm);
        foreach (TestConnection client in clients)
        {
            Assert.Equal(Shutdown, await ToEndAsync(client));
            client.EndSending();
        }

        Assert.Equal(0, await ecm.Process.EndAsync());
    }

    [Fact]
    public async Task A_hub_that_drains_gets_no_new_sessions_and_keeps_those_that_it_has()
    {
        MegaphoneProcess first = await HubAsync("a"), second = await HubAsync("b");
        MegaphoneProcess ecm = await MegaphoneProcess.StartAsync(
            ["Ecm:Clients:0:Listen=127.0.0.1:0", $"Ecm:Link:To:0={first.Hub}", $"Ecm:Link:To:1={second.Hub}"]);
        _opened.Add(ecm);
        await ecm.HasLinksAsync(2, "ecm");
        List<TestConnection> before = [.. await TestConnection.ConnectManyAsync(ecm.Clients, 10)];
        _opened.AddRange(before);
        foreach (TestConnection client in before) await client.AssertEchoesAsync();
        await first.HasSessionsAsync(5);

        first.Process.Signal(SigUsr1);
        await BoundedWait.UntilAsync(
            async () => await ecm.GetAsync("/readyz") == (200, $"ready\nevery link to {first.Hub} is draining\n"), () => "the ECM to know");
        Assert.Equal((503, "draining\n"), await first.GetAsync("/readyz"));
        List<TestConnection> after = [.. await TestConnection.ConnectManyAsync(ecm.Clients, 10)];
        _opened.AddRange(after);
        foreach (TestConnection client in after.Concat(before)) await client.AssertEchoesAsync();
        await second.HasSessionsAsync(15);
        await first.HasSessionsAsync(5);

        // So does one that connects only now.
        MegaphoneProcess late = await MegaphoneProcess.EcmAsync(first.Hub);
        _opened.Add(late);
        await BoundedWait.UntilAsync(
            async () => await late.GetAsync("/readyz") == (503, $"every link to {first.Hub} is draining\n"), () => "the other ECM to know");
    }

    [Fact]
    public async Task The_server_keeps_the_sessions_that_clients_can_resume_elsewhere()
    {
        await using Ejabberd ejabberd = await Ejabberd.StartWithModuleAsync();
        MegaphoneProcess[] ecms = [await StanzaEcmAsync(ejabberd, "one"), await StanzaEcmAsync(ejabberd, "two")];
        using XmppClient friend = await XmppClient.ConnectAsync(ecms[1].Clients);
        await friend.LogInAsync();
        using XmppClient juliet = await XmppClient.ConnectAsync(ecms[0].Clients);
        await juliet.LogInAsync("juliet", "balcony");
        string id = await juliet.EnableResumptionAsync();

        ecms[0].Process.Signal(SigUsr1);
        Assert.EndsWith(Shutdown, await juliet.ReceiveToEndAsync(), StringComparison.Ordinal);

        // What a client answers to that would end its session for good.
        await juliet.SendAsync("</stream:stream>");
        await friend.SendMessageAsync(juliet.Address, "while you were on your way");
        using XmppClient again = await XmppClient.ConnectAsync(ecms[1].Clients);
        Assert.Contains("<resumed ", await again.ResumeAsync("juliet", id), StringComparison.Ordinal);
        await again.ExpectAsync("while you were on your way</body></message>");
    }

    public void Dispose() => _opened.ForEach(one => one.Dispose());

    private static async Task<string> ToEndAsync(TestConnection client) => Encoding.UTF8.GetString(await client.ReceiveToEndAsync());

    private async Task<MegaphoneProcess> BothAsync(params string[] settings)
    {
        MegaphoneProcess both = await MegaphoneProcess.BothAsync(["Ecm:Clients:0:Framing=stanza", .. settings]);
        _opened.Add(both);
        return both;
    }

    private async Task<MegaphoneProcess> HubAsync(string name)
    {
        MegaphoneProcess hub = await MegaphoneProcess.HubAsync($"Hub:Name={name}");
        _opened.Add(hub);
        return hub;
    }

    private async Task<MegaphoneProcess> StanzaEcmAsync(Ejabberd ejabberd, string name)
    {
        MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            ejabberd.LinkListener, "Ecm:Clients:0:Framing=stanza", $"Ecm:Link:Name={name}", "Ecm:Drain:Over=0s");
        _opened.Add(ecm);
        await ecm.HasLinksAsync(1, "ecm");
        return ecm;
    }

    /// <summary>Clients whose streams are open.</summary>
    private async Task<List<TestConnection>> ConnectAsync(MegaphoneProcess ecm, int count)
    {
        List<TestConnection> clients = [.. await TestConnection.ConnectManyAsync(ecm.Clients, count)];
        _opened.AddRange(clients);
        foreach (TestConnection client in clients) await client.AssertEchoesAsync(Stream);
        return clients;
    }
}
