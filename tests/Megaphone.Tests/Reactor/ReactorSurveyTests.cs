using System.Net.Sockets;
using System.Text;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Connections are looked at, and kicked, while they are served.</summary>
public class ReactorSurveyTests
{
    [Fact]
    public async Task A_survey_finds_who_is_there_and_nobody_who_has_gone()
    {
        using TestReactors reactors = new(reactors: 2);
        List<(Socket Client, TestConnection Connection)> all = [.. Enumerable.Range(0, 50).Select(_ => reactors.Connect())];
        all[7].Client.Dispose();
        reactors.Group.Abort(all[7].Connection.Id, all[7].Connection.Owner, CloseReason.Ended);
        await BoundedWait.UntilAsync(() => all[7].Connection.Events.Contains("closed", StringComparison.Ordinal), "the end of one");
        all.RemoveAt(7);

        Assert.Equal(all.Select(one => one.Connection.Id.Value).Order(), Find(reactors, _ => true).Select(one => one.Id.Value).Order());
        ConnectionId wanted = all[3].Connection.Id;
        SurveyedConnection found = Assert.Single(Find(reactors, id => id == wanted));
        Assert.Equal((wanted, all[3].Connection.Owner), (found.Id, found.Owner));
        Assert.Equal(all[3].Client.LocalEndPoint, NativeSocket.PeerAddress(found.Descriptor).ToEndPoint());
    }

    [Fact]
    public async Task A_visit_sees_what_the_kernel_has_counted()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Send(connection, "twelve bytes");
        Assert.Equal("twelve bytes", TestReactors.ReadText(client, 12));
        client.Send("five."u8);
        await BoundedWait.UntilAsync(() => CountsOf(reactors) is { Received: 5, Sent: 12 }, "twelve bytes and five");
    }

    [Fact]
    public async Task Those_who_are_kicked_hear_their_last_words_and_the_others_stay()
    {
        using TestReactors reactors = new(reactors: 2);
        reactors.Handler.CloseReasonOf = _ => CloseReason.Kicked;
        reactors.Handler.LastOf = _ => "out"u8.ToArray();
        List<(Socket Client, TestConnection Connection)> all = [.. Enumerable.Range(0, 20).Select(_ => reactors.Connect())];

        Assert.Equal(5, reactors.Group.Kick([.. all.Take(5).Select(one => one.Connection.Id)]));
        foreach ((Socket client, TestConnection connection) in all.Take(5))
        {
            Assert.Equal("out", Encoding.ASCII.GetString(TestReactors.ReadToEnd(client)));
            client.Shutdown(SocketShutdown.Send);
            await BoundedWait.UntilAsync(() => connection.Events.Contains("closed", StringComparison.Ordinal), "its end");
        }

        Assert.Equal(0, reactors.Group.Kick([.. all.Take(5).Select(one => one.Connection.Id), new ConnectionId(7), default]));
        foreach ((Socket client, TestConnection connection) in all.Skip(5))
        {
            reactors.Send(connection, "x");
            Assert.Equal("x", TestReactors.ReadText(client, 1));
        }
    }

    [Fact]
    public async Task A_drain_that_is_given_up_leaves_those_whom_it_has_not_closed()
    {
        using TestReactors reactors = new();
        foreach (int _ in Enumerable.Range(0, 20)) reactors.Connect();
        reactors.Group.Drain(TimeSpan.FromSeconds(200), waits: false);
        await BoundedWait.UntilAsync(() => reactors.Group.Count < 20, "the first to go");
        reactors.Group.EndDrain();
        Assert.False(reactors.Group.IsDraining);
        int left = reactors.Group.Count;
        await BoundedWait.NeverAsync(() => reactors.Group.Count < left - 1, "another one goes, but for one that was on its way");
        reactors.Group.Drain(TimeSpan.Zero, waits: false);
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "all to go");
    }

    private static SocketCounts CountsOf(TestReactors reactors)
    {
        SocketCounts counts = default;
        reactors.Group.Survey(
            (ConnectionId _, int _, in TestState _) => true,
            (in SurveyedConnection one, in TestState _) => counts = SocketCounts.Of(one.Descriptor));
        return counts;
    }

    private static List<SurveyedConnection> Find(TestReactors reactors, Func<ConnectionId, bool> wants)
    {
        List<SurveyedConnection> found = [];
        reactors.Group.Survey(
            (ConnectionId id, int _, in TestState _) => wants(id),
            (in SurveyedConnection one, in TestState _) =>
            {
                lock (found) found.Add(one);
            });
        return found;
    }
}
