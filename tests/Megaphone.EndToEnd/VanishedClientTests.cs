using System.Globalization;
using System.Net;

namespace Megaphone.EndToEnd;

/// <summary>Clients that vanish without closing their connection are detected by the kernel, as configured.</summary>
public sealed class VanishedClientTests
{
    [Fact]
    public async Task Accepted_sockets_have_a_keepalive_timer_with_the_configured_time()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:TcpKeepAlive:Idle=00:01:40");
        using TestConnection client = await TestConnection.ConnectAsync(both.Clients);
        await client.AssertEchoesAsync();

        Assert.InRange(await KeepAliveAsync(client), 7000, 10_000);
    }

    [Fact]
    public async Task Clients_that_connected_together_are_not_all_probed_together()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Ecm:TcpKeepAlive:Idle=00:16:40", "Ecm:TcpKeepAlive:UserTimeout=00:30:00");
        List<TestConnection> clients = await TestConnection.ConnectManyAsync(both.Clients, 30);
        List<long> due = [];
        foreach (TestConnection client in clients)
        {
            await client.AssertEchoesAsync();
            due.Add(await KeepAliveAsync(client));
        }

        // Some are asked a minute after others, at least.
        Assert.All(due, hundredths => Assert.InRange(hundredths, 70_000, 100_000));
        Assert.True(due.Max() - due.Min() > 6_000, string.Join(' ', due));
        clients.ForEach(client => client.Dispose());
    }

    [Fact]
    public async Task A_silent_client_that_vanishes_is_detected_by_keepalive()
    {
        await using OtherNetwork network = await OtherNetwork.CreateAsync();
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            $"Ecm:Clients:0:Listen={network.Here}:0", "Ecm:TcpKeepAlive:Idle=00:00:01", "Ecm:TcpKeepAlive:Interval=00:00:01",
            "Ecm:TcpKeepAlive:Probes=2", "Ecm:TcpKeepAlive:UserTimeout=00:00:03");
        using ChildProcess staying = await network.ConnectAsync(both.Clients, "hello");
        using ChildProcess vanishing = await network.ConnectAsync(both.Clients, "hello");
        await both.HasSessionsAsync(2);

        // The kernel asks them each second, and would end them after the third, if their answers did not count.
        await Task.Delay(TimeSpan.FromSeconds(4));
        await both.HasSessionsAsync(2);

        await network.CutAsync();

        await both.HasClosedAsync(2, "ecm", "vanished");
        await both.HasClientsAsync(0);
        await both.HasSessionsAsync(0);
    }

    [Fact]
    public async Task A_silent_client_survives_the_loss_of_some_probes()
    {
        await using OtherNetwork network = await OtherNetwork.CreateAsync();
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync(
            $"Ecm:Clients:0:Listen={network.Here}:0", "Ecm:TcpKeepAlive:Idle=00:00:01", "Ecm:TcpKeepAlive:Interval=00:00:01",
            "Ecm:TcpKeepAlive:Probes=20", "Ecm:TcpKeepAlive:UserTimeout=00:00:21");
        using ChildProcess client = await network.ConnectAsync(both.Clients, "hello");
        await both.HasSessionsAsync(1);

        await network.CutAsync();
        await BoundedWait.UntilAsync(() => UnansweredProbes(both.Clients) >= 3, "three unanswered probes");
        await network.MendAsync();
        await BoundedWait.UntilAsync(() => UnansweredProbes(both.Clients) == 0, "the answer to one");
        await both.HasSessionsAsync(1);
    }

    [Fact]
    public async Task A_client_that_vanishes_with_unacknowledged_data_is_detected_by_the_user_timeout()
    {
        await using OtherNetwork network = await OtherNetwork.CreateAsync();
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            hub.Address, $"Ecm:Clients:0:Listen={network.Here}:0",
            "Ecm:TcpKeepAlive:Idle=00:00:01", "Ecm:TcpKeepAlive:Interval=00:00:01", "Ecm:TcpKeepAlive:Probes=1",
            "Ecm:TcpKeepAlive:UserTimeout=00:00:02");
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        using ChildProcess client = await network.ConnectAsync(ecm.Clients, "hello");
        Packet first = await link.ReceiveAsync();

        await network.CutAsync();
        await link.SendAsync(first.Id, "are you there?");

        await link.AssertControlAsync("reset", first.Id);
        await ecm.HasClosedAsync(1, "ecm", "vanished");
        await ecm.HasClientsAsync(0);
    }

    /// <summary>How many of the keep-alive probes to a listener's only client are unanswered; null: not seen this time.</summary>
    private static int? UnansweredProbes(IPEndPoint listener)
    {
        const string Established = "01";
        string here = Hexadecimal(listener);
        return FindSocket(line => line[1] == here && line[3] == Established) is { } line ? int.Parse(line[8], CultureInfo.InvariantCulture) : null;
    }

    /// <summary>Hundredths of a second until the kernel asks a client whether it is there.</summary>
    private static async Task<long> KeepAliveAsync(TestConnection client)
    {
        // Timer 2 is keepalive, and its time is in hundredths of a second. Timer 1 is there for a moment, until what was sent is acknowledged.
        const string Retransmission = "01", KeepAlive = "02";
        string server = Hexadecimal(client.Remote), other = Hexadecimal(client.Local);
        string? timer = null;
        await BoundedWait.UntilAsync(
            () => (timer = FindSocket(line => line[1] == server && line[2] == other)?[5]) is not null && timer[..2] != Retransmission,
            "the acknowledgement of what was sent");

        Assert.Equal(KeepAlive, timer![..2]);
        return long.Parse(timer.AsSpan(3), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    /// <summary>The fields of a socket's line in /proc/net/tcp.</summary>
    /// <returns>Null if there is none. One may be missing, or come twice, while other sockets come and go.</returns>
    private static string[]? FindSocket(Func<string[], bool> isThis) =>
        File.ReadLines("/proc/net/tcp").Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).FirstOrDefault(isThis);

    private static string Hexadecimal(IPEndPoint address) =>
        $"{BitConverter.ToUInt32(address.Address.GetAddressBytes()):X8}:{address.Port:X4}";
}
