using System.Net.Sockets;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>A handler can have a connection wait until it is its turn (<see cref="Outcome.Held"/>).</summary>
public class ReactorHoldTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(200);

    private readonly HashSet<TestConnection> _turns = [];

    [Fact]
    public async Task Nothing_is_received_of_a_connection_that_is_held_until_it_is_released()
    {
        using TestReactors reactors = Holding();
        (Socket client, TestConnection connection) = reactors.Connect();
        client.Send("first"u8);
        await BoundedWait.UntilAsync(() => connection.Events == "held", "it is held");
        client.Send(", second"u8);
        await BoundedWait.NeverAsync(() => connection.Events != "held", "the handler is asked again");

        reactors.Group.Release(connection.Id);
        await BoundedWait.UntilAsync(() => connection.Events == "held held", "the handler is asked again");
        Allow(connection);
        reactors.Group.Release(connection.Id);
        await BoundedWait.UntilAsync(() => connection.Text == "first, second", "all of it");
        client.Send(", third"u8);
        await BoundedWait.UntilAsync(() => connection.Text == "first, second, third", "what comes after that");
    }

    [Fact]
    public async Task One_that_is_held_is_closed_when_its_peer_ends()
    {
        using TestReactors reactors = Holding();
        (Socket polite, TestConnection one) = reactors.Connect();
        (Socket rude, TestConnection other) = reactors.Connect();
        (Socket hasty, TestConnection third) = reactors.Connect();
        polite.Send("x"u8);
        rude.Send("x"u8);
        await BoundedWait.UntilAsync(() => (one.Events, other.Events) == ("held", "held"), "they are held");
        polite.Shutdown(SocketShutdown.Send);
        rude.LingerState = new LingerOption(true, 0);
        rude.Close();
        hasty.Send("x"u8);
        hasty.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "their end");
        Assert.Equal("held closed:Ended", one.Events);
        Assert.StartsWith("held closed:", other.Events, StringComparison.Ordinal);
        Assert.EndsWith("closed:Ended", third.Events, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_held_can_be_drained_and_aborted()
    {
        using TestReactors reactors = Holding();
        reactors.Handler.LastOf = _ => "farewell"u8.ToArray();
        (Socket drained, TestConnection one) = reactors.Connect();
        (Socket aborted, TestConnection other) = reactors.Connect();
        drained.Send("x"u8);
        aborted.Send("x"u8);
        await BoundedWait.UntilAsync(() => (one.Events, other.Events) == ("held", "held"), "they are held");
        reactors.Group.Abort(other.Id, other.Owner, CloseReason.ResetByPeer);
        await BoundedWait.UntilAsync(() => other.Events == "held closed:ResetByPeer", "the end of the one");
        Allow(one);
        reactors.Group.Drain(TimeSpan.Zero, waits: false);
        Assert.Equal("farewell"u8, TestReactors.ReadToEnd(drained));
        drained.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "the end of the other");
        Assert.Equal("x", one.Text);
    }

    [Fact]
    public async Task One_that_is_held_has_no_deadline_and_when_it_is_renewed_the_whole_one()
    {
        using TestReactors reactors = Holding(admit: Short);
        reactors.Handler.CloseReasonOfLate = CloseReason.LoginTimeout;
        reactors.Handler.Renews = true;
        (Socket client, TestConnection connection) = reactors.Connect();
        client.Send("x"u8);
        await BoundedWait.UntilAsync(() => connection.Events == "held", "it is held");
        (_, TestConnection silent) = reactors.Connect();
        await BoundedWait.UntilAsync(() => silent.Events == "closed:LoginTimeout", "the end of one that came later");
        await BoundedWait.NeverAsync(() => connection.Events != "held", "the end of the one that is held");

        Allow(connection);
        long released = Environment.TickCount64;
        reactors.Group.Release(connection.Id);
        await BoundedWait.UntilAsync(() => connection.Events == "held closed:LoginTimeout", "its end");
        Assert.True(Environment.TickCount64 - released >= Short.TotalMilliseconds - 20);
    }

    private TestReactors Holding(TimeSpan admit = default)
    {
        TestReactors reactors = new(admit: admit);
        reactors.Handler.Holds = connection =>
        {
            lock (_turns) return !_turns.Contains(connection);
        };
        return reactors;
    }

    private void Allow(TestConnection connection)
    {
        lock (_turns) _turns.Add(connection);
    }
}
