using System.Net;
using System.Net.Sockets;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>A connection between an address that failed and the next one.</summary>
public class ReactorFallbackTests
{
    /// <summary>Refused by connect(2) itself, as an IPv6 address is where there is no route: TCP does not broadcast.</summary>
    private static readonly IPEndPoint Unreachable = new(IPAddress.Parse("255.255.255.255"), 9);

    [Fact]
    public async Task What_is_sent_after_the_first_address_failed_waits_for_the_next()
    {
        using TestReactors reactors = new(start: false);
        using Socket server = Listener(IPAddress.Loopback);
        TestConnection connection = reactors.ConnectTo(Unreachable, (IPEndPoint)server.LocalEndPoint!);
        Assert.True(reactors.Send(connection, "first"));
        reactors.Group.Start();

        using Socket accepted = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
        accepted.ReceiveTimeout = (int)BoundedWait.Limit.TotalMilliseconds;
        Assert.Equal("first", TestReactors.ReadText(accepted, 5));
    }

    [Fact]
    public async Task A_connection_aborted_after_the_first_address_failed_tries_no_other()
    {
        using TestReactors reactors = new(start: false);
        using Socket server = Listener(IPAddress.Loopback);
        TestConnection connection = reactors.ConnectTo(Unreachable, (IPEndPoint)server.LocalEndPoint!);
        Assert.True(reactors.Group.Abort(connection.Id, connection.Owner, CloseReason.ResetByPeer));
        reactors.Group.Start();
        await BoundedWait.UntilAsync(() => connection.Closed is not null, "the end of what was aborted");
        Assert.Equal("closed:ResetByPeer", connection.Events);
        Assert.Equal(0, reactors.Group.Count);
    }

    [Fact]
    public async Task A_connection_to_be_closed_when_flushed_is_not_forgotten_when_its_first_address_fails()
    {
        using TestReactors reactors = new(start: false);
        using Socket server = Listener(IPAddress.Loopback);
        TestConnection connection = reactors.ConnectTo(Unreachable, (IPEndPoint)server.LocalEndPoint!);
        reactors.Group.CloseWhenFlushed(connection.Id, connection.Owner, CloseReason.LinkLost);
        reactors.Group.Start();
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "the end of what was to be closed");
        Assert.Equal(CloseReason.LinkLost, connection.Closed);
    }

    [Fact]
    public async Task Each_address_has_the_whole_timeout_for_itself()
    {
        TimeSpan timeout = TimeSpan.FromMilliseconds(400);
        using SilentServer first = new();
        using SilentServer second = new();
        using TestReactors reactors = new(connect: timeout);
        long began = Environment.TickCount64;
        TestConnection connection = reactors.ConnectTo(first.Address, second.Address);
        await Task.Delay(50);

        // Has the reactor bring the connection up to date, which must not shorten anything.
        reactors.Group.EndWrite(connection.Id, connection.Owner);
        await BoundedWait.UntilAsync(() => connection.Closed is not null, "the timeout");
        Assert.InRange(Environment.TickCount64 - began, 2 * (long)timeout.TotalMilliseconds, long.MaxValue);
    }

    private static Socket Listener(IPAddress address)
    {
        Socket server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        server.Bind(new IPEndPoint(address, 0));
        server.Listen(16);
        return server;
    }
}
