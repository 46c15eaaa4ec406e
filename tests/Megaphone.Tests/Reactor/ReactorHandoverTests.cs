using System.Net.Sockets;
using Megaphone.Handover;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tests.Handover;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Reactors that stand still, and others that go on with their connections, as in the next image of the process.</summary>
public sealed class ReactorHandoverTests
{
    private static readonly byte[] Much = [.. Enumerable.Range(0, 4 << 20).Select(i => (byte)(i * 7))];

    [Fact]
    public async Task Connections_go_on_where_they_stood()
    {
        using TestReactors before = new(reactors: 2);
        (Socket talking, TestConnection talks) = before.Connect();
        (Socket slow, TestConnection isSlow) = before.Connect(receiveBuffer: 4096);
        (Socket paused, TestConnection isPaused) = before.Connect();
        (Socket gone, TestConnection _) = before.Connect();
        before.Send(isSlow, Much);
        before.Group.PauseReading(isPaused.Id, isPaused.Owner, pause: true);
        paused.Send("waits"u8);
        gone.Dispose();
        await BoundedWait.UntilAsync(() => before.Group.Count == 3, "one to go");
        long buffered = before.Metrics.BufferedBytes;
        Assert.NotEqual(0, buffered);

        (ReactorGroup<TestState> after, RoleMetrics metrics) = HandOver(before);
        Assert.Equal((3, buffered), (after.Count, metrics.BufferedBytes));
        after.Start();
        talking.Send("hello"u8);
        await ReceivesAsync(talks, "hello");
        Assert.True(after.Send(talks.Id, talks.Owner, "answer"u8));
        Assert.Equal("answer", TestReactors.ReadText(talking, 6));
        Assert.Equal(Much, TestReactors.Read(slow, Much.Length));
        after.PauseReading(isPaused.Id, isPaused.Owner, pause: false);
        await ReceivesAsync(isPaused, "waits");
        await BoundedWait.UntilAsync(() => metrics is { BufferedBytes: 0, BufferMemory: 0 }, "nothing to wait");
        talking.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => talks.Events == "half-closed", "the end to be reported");
        Assert.True(after.EndWrite(talks.Id, talks.Owner));
        Assert.Empty(TestReactors.ReadToEnd(talking));
        await BoundedWait.UntilAsync(() => after.Count == 2, "one to end");
        Assert.Null(after.FindViolation());
        after.Stop();
    }

    [Fact]
    public async Task Those_for_whom_there_was_no_room_are_asked_again()
    {
        using TestReactors before = new();
        (Socket client, TestConnection connection) = before.Connect();
        before.Handler.Room = _ => 0;
        client.Send("no room"u8);
        (Socket closed, TestConnection isClosed) = before.Connect();
        before.Handler.Answer = (_, what) => what == "closed" ? Outcome.WouldBlock : Outcome.Done;
        before.Group.Abort(isClosed.Id, isClosed.Owner, CloseReason.ResetByPeer);
        Assert.Throws<SocketException>(() => closed.Receive(new byte[1]));
        await BoundedWait.UntilAsync(() => before.Group.FindViolation() is null, "a moment");

        (ReactorGroup<TestState> after, _) = HandOver(before);
        before.Handler.Room = _ => 64 << 10;
        before.Handler.Answer = (_, _) => Outcome.Done;
        after.Start();
        await ReceivesAsync(connection, "no room");
        await BoundedWait.UntilAsync(() => after.Count == 1, "the closed one to be freed");
        after.Stop();
    }

    [Fact]
    public async Task A_group_that_was_parked_goes_on()
    {
        using TestReactors reactors = new(reactors: 2);
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.Park();
        client.Send("while it stood"u8);
        reactors.Send(connection, "still");
        reactors.Group.Start();
        await ReceivesAsync(connection, "while it stood");
        Assert.Equal("still", TestReactors.ReadText(client, 5));
        reactors.Connect();
    }

    private static Task ReceivesAsync(TestConnection connection, string text) =>
        BoundedWait.UntilAsync(() => connection.Text == text, $"{text} to be received");

    /// <summary>Has another group take over. The first one keeps nothing but its listener.</summary>
    private static (ReactorGroup<TestState> After, RoleMetrics Metrics) HandOver(TestReactors before)
    {
        before.Group.Park();
        RoleMetrics metrics = new(Role.Ecm);
        ReactorGroup<TestState> after = new(before.Handler, before.Options, metrics, accepted: before.Handler, outgoing: before.Handler);
        Keeper keeper = new();
        HandedOver.Copy(
            writer => before.Group.Save(writer, keeper),
            reader =>
            {
                after.Restore(reader, keeper, []);
                return true;
            });
        before.Forget();
        return (after, metrics);
    }

    private sealed class Keeper : IStateKeeper<TestState>
    {
        public void Save(ConnectionId id, ref TestState state, StateWriter writer) => writer.Write(state);

        public TestState Restore(ConnectionId id, StateReader reader) => reader.Read<TestState>();
    }
}
