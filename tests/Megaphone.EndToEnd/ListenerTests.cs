using System.Net;
using System.Net.Sockets;

namespace Megaphone.EndToEnd;

/// <summary>Addresses that cannot be listened on are reported with the reason, if possible before binding them.</summary>
public sealed class ListenerTests
{
    [Theory]
    [InlineData("run")]
    [InlineData("check")]
    public async Task Overlapping_listeners_are_a_configuration_error(string command)
    {
        (ChildProcess process, int status) = await MegaphoneProcess.RunAsync(
        [
            command,
            .. MegaphoneProcess.Arguments(
            [
                "Ecm:Clients:0:Listen=0.0.0.0:5222", "Ecm:Clients:1:Listen=127.0.0.1:5222", "Ecm:Link:To=127.0.0.1:6280", "Ecm:MaxClients=0",
            ]),
        ]);

        Assert.Equal(2, status);
        Assert.Equal(2, process.Errors.Count);
        Assert.Single(process.Errors, line => line.Contains("Ecm:MaxClients"));
        Assert.Single(process.Errors, line => line.Contains(
            "Ecm:Clients:1:Listen \"127.0.0.1:5222\" from --Ecm:Clients:1:Listen: overlaps Ecm:Clients:0:Listen, which is 0.0.0.0:5222"));
    }

    [Theory]
    [InlineData("run")]
    [InlineData("check")]
    public async Task A_port_used_by_an_outgoing_connection_is_not_reported_as_a_listener(string command)
    {
        using TestBackend server = new();
        using TestConnection connection = await TestConnection.ConnectAsync(server.Address);
        IPEndPoint used = connection.Local;

        (ChildProcess process, int status) = await MegaphoneProcess.RunAsync(
            [command, .. MegaphoneProcess.Arguments([$"Hub:Listen={used}", "Hub:MaxSessions=100", "Admin:Listen=127.0.0.1:0"])]);

        Assert.Equal(1, status);
        Assert.Contains("an outgoing connection of this machine uses that port, and nothing listens there", process.Said);
        Assert.Contains($"`ss -tanp 'sport = :{used.Port}'`", process.Said);
        Assert.Matches($@"ip_local_reserved_ports=([0-9,-]+,)?{used.Port}`", process.Said);
        Assert.DoesNotContain("something listens there", process.Said);
    }

    [Fact]
    public async Task The_listener_that_failed_is_named_and_not_one_that_was_bound_before_it()
    {
        using TestBackend holder = new();
        IPEndPoint free = FreePort();

        (ChildProcess process, int status) = await MegaphoneProcess.RunAsync(
        [
            .. MegaphoneProcess.Arguments(
            [
                $"Ecm:Clients:0:Listen={free}", $"Ecm:Clients:1:Listen={holder.Address}",
                "Ecm:Link:To=127.0.0.1:6280", "Admin:Listen=127.0.0.1:0",
            ]),
        ]);

        Assert.Equal(1, status);
        Assert.StartsWith(
            $"megaphone: Ecm:Clients:1:Listen \"{holder.Address}\": something listens there already; `ss -ltnp ",
            Assert.Single(process.Errors));
    }

    [Fact]
    public async Task On_all_addresses_clients_over_IPv4_are_shown_and_counted_as_such()
    {
        using TestHub hub = new();
        using MegaphoneProcess ecm = await MegaphoneProcess.EcmAsync(
            hub.Address, "Ecm:Clients:0:Listen=*:0", "Ecm:Proxy=v1", "Ecm:Limits:PerAddress=1", "Ecm:Limits:Exempt:0=10.0.0.0/8",
            "Ecm:Limits:Deny:0=127.0.0.7/32", "Logging:LogLevel:Default=Debug");
        using LinkPeer link = await hub.AcceptAsync();
        await ecm.HasLinksAsync(1, "ecm");
        Assert.Equal(IPAddress.IPv6Any, ecm.Clients.Address);
        int port = ecm.Clients.Port;

        using TestConnection over4 = await TestConnection.ConnectAsync(new(IPAddress.Loopback, port), IPAddress.Parse("127.0.0.9"));
        Assert.Equal($"PROXY TCP4 127.0.0.9 127.0.0.1 {over4.Local.Port} {port}\r\n", (await link.ReceiveAsync()).Text);
        using TestConnection over6 = await TestConnection.ConnectAsync(new(IPAddress.IPv6Loopback, port));
        Assert.Equal($"PROXY TCP6 ::1 ::1 {over6.Local.Port} {port}\r\n", (await link.ReceiveAsync()).Text);

        using TestConnection second = await TestConnection.ConnectAsync(new(IPAddress.Loopback, port), IPAddress.Parse("127.0.0.9"));
        await second.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_limited_total", "limit=per_address");
        using TestConnection denied = await TestConnection.ConnectAsync(new(IPAddress.Loopback, port), IPAddress.Parse("127.0.0.7"));
        await denied.AssertIsGoneAsync();
        await ecm.ReachesAsync(1, "megaphone_limited_total", "limit=denied");

        over4.Dispose();
        await BoundedWait.UntilAsync(
            () => ecm.LogLines($" from 127.0.0.9:{over4.Local.Port} at [::]:{port}, no TLS, has gone") == 1, "the client's last line in the log");
    }

    /// <summary>A port that was free a moment ago, below those that the kernel gives to others.</summary>
    private static IPEndPoint FreePort()
    {
        for (int port = 20_000 + (Environment.ProcessId % 1000); ; port++)
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return (IPEndPoint)socket.LocalEndPoint!;
            }
            catch (SocketException)
            {
                // The next one.
            }
        }
    }
}
