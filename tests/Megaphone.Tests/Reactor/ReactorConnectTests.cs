using System.Net;
using System.Net.Sockets;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Connections that the reactors open themselves.</summary>
public class ReactorConnectTests
{
    /// <summary>Refused by connect(2) itself, as an IPv6 address is where there is no route: TCP does not broadcast.</summary>
    private static readonly IPEndPoint Unreachable = new(IPAddress.Parse("255.255.255.255"), 9);

    [Fact]
    public async Task What_is_sent_before_the_connection_is_established_arrives_first()
    {
        using TestReactors reactors = new();
        using Socket server = Listener(IPAddress.Loopback);
        TestConnection connection = reactors.ConnectTo((IPEndPoint)server.LocalEndPoint!);
        Assert.True(reactors.Send(connection, "first"));
        using Socket accepted = await server.AcceptAsync();
        accepted.ReceiveTimeout = (int)BoundedWait.Limit.TotalMilliseconds;
        Assert.Equal("first", TestReactors.ReadText(accepted, 5));

        accepted.Send("answer"u8);
        await BoundedWait.UntilAsync(() => connection.Text == "answer", "the answer");
        Assert.Equal("connected", connection.Events);
    }

    [Fact]
    public async Task After_a_refusal_the_next_address_is_tried()
    {
        using TestReactors reactors = new();
        using Socket server = Listener(IPAddress.Loopback);
        TestConnection connection = reactors.ConnectTo(ClosedPort(), (IPEndPoint)server.LocalEndPoint!);
        using Socket accepted = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
        await BoundedWait.UntilAsync(() => connection.Events == "connected", "the connection");
    }

    [Fact]
    public async Task When_every_address_refuses_the_handler_is_told_why()
    {
        using TestReactors reactors = new();
        TestConnection connection = reactors.ConnectTo(ClosedPort(), Unreachable, ClosedPort());
        await BoundedWait.UntilAsync(() => connection.Closed is not null, "the refusal");
        Assert.Equal("closed:BackendRefused", connection.Events);
        Assert.Equal(0, reactors.Group.Count);
    }

    [Fact]
    public async Task An_address_that_does_not_answer_is_given_up_after_the_timeout()
    {
        using SilentServer silent = new();
        using TestReactors reactors = new(connect: TimeSpan.FromMilliseconds(200));
        TestConnection connection = reactors.ConnectTo(silent.Address);
        await BoundedWait.UntilAsync(() => connection.Closed is not null, "the timeout");
        Assert.Equal(CloseReason.BackendTimeout, connection.Closed);
    }

    [Fact]
    public async Task A_full_table_begins_no_connection()
    {
        using TestReactors reactors = new(maxConnections: 1);
        reactors.Connect();
        Assert.False(reactors.Group.TryConnect(default, 1, default, out _));
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 1, "one connection");
    }

    private static Socket Listener(IPAddress address)
    {
        Socket server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        server.Bind(new IPEndPoint(address, 0));
        server.Listen(16);
        return server;
    }

    private static IPEndPoint ClosedPort()
    {
        using Socket server = Listener(IPAddress.Loopback);
        return (IPEndPoint)server.LocalEndPoint!;
    }
}
