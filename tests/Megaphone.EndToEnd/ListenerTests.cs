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
