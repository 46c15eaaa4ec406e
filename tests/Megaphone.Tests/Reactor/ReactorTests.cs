using System.Net.Sockets;
using System.Text;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>The reactor over real sockets, with a handler that notes its calls.</summary>
public class ReactorTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_a_client_sends_comes_back(int count)
    {
        using TestReactors reactors = new(count);
        reactors.Handler.Received = (connection, bytes) => reactors.Send(connection, bytes);
        for (int i = 0; i < 8; i++)
        {
            (Socket client, _) = reactors.Connect();
            client.Send(Encoding.ASCII.GetBytes($"hello {i}"));
            Assert.Equal($"hello {i}", TestReactors.ReadText(client, 7));
        }

        await BoundedWait.UntilAsync(() => reactors.Group.Count == 8, "eight connections");
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
    }

    [Fact]
    public async Task A_client_that_ends_its_direction_first_still_receives_the_rest()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        client.Send("bye"u8);
        client.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed", "the client's end");
        Assert.Equal("bye", connection.Text);

        Assert.True(reactors.Send(connection, "and you"));
        Assert.True(reactors.Group.EndWrite(connection.Id, connection.Owner));
        Assert.False(reactors.Group.EndWrite(connection.Id, connection.Owner));
        Assert.Equal("and you", Encoding.ASCII.GetString(TestReactors.ReadToEnd(client)));
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
        Assert.Equal(0, reactors.Group.Count);
    }

    [Fact]
    public async Task A_client_may_go_on_sending_after_we_ended_our_direction()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        Assert.True(reactors.Group.EndWrite(connection.Id, connection.Owner));
        Assert.Empty(TestReactors.ReadToEnd(client));
        Assert.False(reactors.Send(connection, "too late"));
        client.Send("still here"u8);
        await BoundedWait.UntilAsync(() => connection.Text == "still here", "what the client still says");
        client.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
    }

    [Fact]
    public async Task A_connection_is_closed_when_its_handler_has_no_more_use_for_it()
    {
        using TestReactors reactors = new();
        reactors.Handler.Answer = (_, what) => what == "half-closed" ? Outcome.Closed : Outcome.Done;
        (Socket client, TestConnection connection) = reactors.Connect();
        client.Shutdown(SocketShutdown.Send);
        Assert.Empty(TestReactors.ReadToEnd(client));
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
    }

    [Fact]
    public async Task An_abort_resets_the_client_and_reports_its_reason()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        Assert.True(reactors.Group.Abort(connection.Id, connection.Owner, CloseReason.IdleTimeout));
        Assert.Equal(SocketError.ConnectionReset, Assert.Throws<SocketException>(() => TestReactors.ReadToEnd(client)).SocketErrorCode);
        await BoundedWait.UntilAsync(() => connection.Events == "closed:IdleTimeout", "the close");
        Assert.False(reactors.Group.Abort(connection.Id, connection.Owner, CloseReason.IdleTimeout));
    }

    [Fact]
    public async Task More_requests_than_the_mailbox_holds_are_all_carried_out()
    {
        using TestReactors reactors = new();
        (Socket slow, TestConnection waiting) = reactors.Connect(receiveBuffer: 4096);
        byte[] much = new byte[3 << 20];
        Assert.True(reactors.Send(waiting, much));
        (_, TestConnection ending) = reactors.Connect();
        (Socket holder, _) = reactors.Connect();
        using ManualResetEventSlim held = new(), goOn = new();
        reactors.Handler.Received = (_, _) =>
        {
            held.Set();
            goOn.Wait(BoundedWait.Limit);
        };
        holder.Send("x"u8);
        Assert.True(held.Wait(BoundedWait.Limit));

        // The reactor's thread is blocked while the same is requested again and again, and something else at last.
        for (int i = 0; i < PostedIds.Capacity; i++)
            reactors.Group.CloseWhenFlushed(waiting.Id, waiting.Owner, CloseReason.LinkLost);
        Assert.True(reactors.Group.Abort(ending.Id, ending.Owner, CloseReason.IdleTimeout));
        goOn.Set();

        await BoundedWait.UntilAsync(() => ending.Events == "closed:IdleTimeout", "the close");
        Assert.Equal(much, TestReactors.ReadToEnd(slow));
        await BoundedWait.UntilAsync(() => waiting.Closed == CloseReason.LinkLost, "the other close");

        // Afterwards single requests are carried out again.
        (_, TestConnection next) = reactors.Connect();
        Assert.True(reactors.Group.Abort(next.Id, next.Owner, CloseReason.IdleTimeout));
        await BoundedWait.UntilAsync(() => next.Events == "closed:IdleTimeout", "the last close");
    }

    [Fact]
    public async Task A_client_that_resets_is_closed_with_a_socket_error()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        client.LingerState = new LingerOption(true, 0);
        client.Dispose();
        await BoundedWait.UntilAsync(() => connection.Events == "closed:SocketError", "the close");
    }

    [Fact]
    public void Requests_that_name_another_owner_change_nothing()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        Assert.False(reactors.Group.Send(connection.Id, connection.Owner + 1, "x"u8));
        Assert.False(reactors.Group.EndWrite(connection.Id, connection.Owner + 1));
        Assert.False(reactors.Group.Abort(connection.Id, connection.Owner + 1, CloseReason.ResetByPeer));
        reactors.Group.CloseWhenFlushed(connection.Id, connection.Owner + 1, CloseReason.LinkLost);
        reactors.Group.PauseReading(connection.Id, connection.Owner + 1, pause: true);
        Assert.False(reactors.Group.Send(new ConnectionId(connection.Id.Value + (1UL << 32)), connection.Owner, "x"u8));
        Assert.False(reactors.Group.Send(new ConnectionId(ulong.MaxValue), connection.Owner, "x"u8));
        Assert.False(reactors.Group.Send(new ConnectionId(0), connection.Owner, "x"u8));

        Assert.True(reactors.Send(connection, "y"));
        Assert.Equal("y", TestReactors.ReadText(client, 1));
    }

    [Fact]
    public async Task A_half_open_connection_is_closed_after_the_timeout()
    {
        using TestReactors reactors = new(halfOpen: TimeSpan.FromMilliseconds(100));
        (Socket client, TestConnection ended) = reactors.Connect();
        (_, TestConnection untouched) = reactors.Connect();
        (_, TestConnection endedByUs) = reactors.Connect();
        client.Shutdown(SocketShutdown.Send);
        reactors.Group.EndWrite(endedByUs.Id, endedByUs.Owner);
        await BoundedWait.UntilAsync(() => ended.Closed is not null && endedByUs.Closed is not null, "the timeouts");
        Assert.Equal((CloseReason.HalfOpenTimeout, CloseReason.HalfOpenTimeout), (ended.Closed, endedByUs.Closed));
        Assert.Null(untouched.Closed);
    }

    [Fact]
    public async Task A_sweep_closes_connections_no_faster_than_its_rate()
    {
        using TestReactors reactors = new(closeRate: 200);
        List<TestConnection> connections = [];
        for (int i = 0; i < 90; i++)
        {
            reactors.Handler.Owner = i % 3 == 0 ? 2 : 1;
            connections.Add(reactors.Connect().Connection);
        }

        reactors.Handler.CloseReasonOf = owner => owner == 1 ? CloseReason.LinkLost : null;
        long began = Environment.TickCount64;
        reactors.Group.Sweep();
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 30, "the sweep");
        long took = Environment.TickCount64 - began;

        // 60 at 200 a second, of which two steps of 20 ms may come at once.
        Assert.InRange(took, 240, 5_000);
        Assert.All(connections, connection => Assert.Equal(connection.Owner == 1 ? CloseReason.LinkLost : null, connection.Closed));
    }

    [Fact]
    public async Task A_sweep_without_a_rate_closes_them_at_once()
    {
        using TestReactors reactors = new();
        for (int i = 0; i < 50; i++) reactors.Connect();
        reactors.Handler.CloseReasonOf = _ => CloseReason.LinkLost;
        reactors.Group.Sweep();
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "the sweep");
    }

    [Fact]
    public async Task Who_is_swept_gets_the_last_words_and_is_closed_when_it_has_ended_too()
    {
        using TestReactors reactors = new();
        reactors.Handler.LastOf = hasSent => Encoding.ASCII.GetBytes(hasSent ? "bye" : "hello, and bye");
        (Socket first, _) = reactors.Connect();
        (Socket second, TestConnection served) = reactors.Connect();
        Assert.True(reactors.Group.Send(served.Id, served.Owner, "hi, "u8));
        reactors.Handler.CloseReasonOf = _ => CloseReason.LinkLost;
        reactors.Group.Sweep();
        Assert.Equal("hello, and bye", Encoding.ASCII.GetString(TestReactors.ReadToEnd(first)));
        Assert.Equal("hi, bye", Encoding.ASCII.GetString(TestReactors.ReadToEnd(second)));
        Assert.Equal(2, reactors.Group.Count);
        first.Shutdown(SocketShutdown.Send);
        second.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "the end of both");
    }

    [Fact]
    public async Task A_drain_ends_everybody_evenly()
    {
        using TestReactors reactors = new();
        reactors.Handler.LastOf = _ => "bye"u8.ToArray();
        List<Socket> sockets = [.. Enumerable.Range(0, 40).Select(_ => reactors.Connect().Client)];
        long began = Environment.TickCount64;
        reactors.Group.Drain(TimeSpan.FromMilliseconds(800), waits: true);
        Assert.True(reactors.Group.IsDraining);
        Assert.All(sockets[..20], socket => Assert.Equal("bye", Encoding.ASCII.GetString(TestReactors.ReadToEnd(socket))));
        Assert.InRange(Environment.TickCount64 - began, 300, int.MaxValue);
        Assert.All(sockets[20..], socket => Assert.Equal("bye", Encoding.ASCII.GetString(TestReactors.ReadToEnd(socket))));
        Assert.InRange(Environment.TickCount64 - began, 700, int.MaxValue);
        sockets.ForEach(socket => socket.Shutdown(SocketShutdown.Send));
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0 && !reactors.Group.IsDraining, "the end of all");
    }

    [Fact]
    public async Task A_drain_waits_for_the_rest_of_what_was_sent_and_not_for_ever()
    {
        using TestReactors reactors = new();
        reactors.Handler.LastOf = _ => "bye"u8.ToArray();
        (Socket first, TestConnection served) = reactors.Connect();
        (Socket second, TestConnection forgotten) = reactors.Connect();
        Assert.True(reactors.Group.Send(served.Id, served.Owner, "half, "u8, moreFollows: true));
        Assert.True(reactors.Group.Send(forgotten.Id, forgotten.Owner, "half, "u8, moreFollows: true));
        reactors.Group.Drain(TimeSpan.FromMilliseconds(20), waits: true);
        await Task.Delay(100);
        Assert.True(reactors.Group.Send(served.Id, served.Owner, "rest, "u8));
        Assert.Equal("half, rest, bye", Encoding.ASCII.GetString(TestReactors.ReadToEnd(first)));
        Assert.Equal("half, bye", Encoding.ASCII.GetString(TestReactors.ReadToEnd(second)));
    }

    [Fact]
    public async Task A_drain_without_last_words_closes_behind_what_waits()
    {
        using TestReactors reactors = new();
        (Socket socket, TestConnection slow) = reactors.Connect();
        byte[] words = new byte[8 << 20];
        Assert.True(reactors.Group.Send(slow.Id, slow.Owner, words));
        Assert.True(reactors.Metrics.BufferedBytes > 0);
        reactors.Group.Drain(TimeSpan.Zero, waits: false);
        await BoundedWait.UntilAsync(() => !reactors.Group.IsDraining, "the drain");
        Assert.Equal(words.Length, TestReactors.ReadToEnd(socket).Length);
        await BoundedWait.UntilAsync(() => slow.Closed == CloseReason.Drained, "the close");
    }

    [Fact]
    public async Task Refused_clients_are_closed_and_counted()
    {
        using TestReactors reactors = new(maxConnections: 1);
        reactors.Connect();
        using (Socket refused = Plain(reactors)) Assert.Empty(TestReactors.ReadToEnd(refused));
        await BoundedWait.UntilAsync(() => reactors.Metrics.Refused(RefusalReason.TooMany) == 1, "the count");
        Assert.Equal(1, reactors.Group.Count);
    }

    [Fact]
    public async Task The_handlers_refusal_is_counted_under_its_reason()
    {
        using TestReactors reactors = new();
        reactors.Handler.Refuses = RefusalReason.NoLink;
        using Socket refused = Plain(reactors);
        Assert.Empty(TestReactors.ReadToEnd(refused));
        await BoundedWait.UntilAsync(() => reactors.Metrics.Refused(RefusalReason.NoLink) == 1, "the count");
    }

    [Fact]
    public async Task After_it_stopped_accepting_it_keeps_its_clients_and_refuses_new_ones()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.StopAccepting();
        await BoundedWait.UntilAsync(
            () =>
            {
                try
                {
                    using Socket late = Plain(reactors);
                    return false;
                }
                catch (SocketException)
                {
                    return true;
                }
            },
            "a refusal");
        client.Send("still"u8);
        await BoundedWait.UntilAsync(() => connection.Text == "still", "the client");
    }

    [Fact]
    public void Stopping_closes_every_connection()
    {
        using TestReactors reactors = new(reactors: 2);
        Socket[] clients = [.. Enumerable.Range(0, 10).Select(_ => reactors.Connect().Client)];
        reactors.Stop();
        Assert.All(clients, client => Assert.Empty(TestReactors.ReadToEnd(client)));
    }

    private static Socket Plain(TestReactors reactors)
    {
        Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 10_000 };
        client.Connect(reactors.Address);
        return client;
    }
}
