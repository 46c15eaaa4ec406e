using System.Net.Sockets;
using System.Text;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tests.Links;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>The reactor over real sockets, with a handler that notes its calls.</summary>
public class ReactorTests
{
    private static readonly BufferOptions SmallBuffers = new() { LowBytes = 16 << 10, HighBytes = 64 << 10, LimitBytes = 4 << 20, TotalBytes = 64 << 20 };

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

        await Patience.UntilAsync(() => reactors.Group.Count == 8, "eight connections");
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
    }

    [Fact]
    public async Task A_client_that_ends_its_direction_first_still_receives_the_rest()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        client.Send("bye"u8);
        client.Shutdown(SocketShutdown.Send);
        await Patience.UntilAsync(() => connection.Events == "half-closed", "the client's end");
        Assert.Equal("bye", connection.Text);

        Assert.True(reactors.Send(connection, "and you"));
        Assert.True(reactors.Group.EndWrite(connection.Id, connection.Owner));
        Assert.False(reactors.Group.EndWrite(connection.Id, connection.Owner));
        Assert.Equal("and you", Encoding.ASCII.GetString(TestReactors.ReadToEnd(client)));
        await Patience.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
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
        await Patience.UntilAsync(() => connection.Text == "still here", "what the client still says");
        client.Shutdown(SocketShutdown.Send);
        await Patience.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
    }

    [Fact]
    public async Task Our_end_waits_for_what_is_queued()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect(receiveBuffer: 4096);
        byte[] much = new byte[3 << 20];
        new Random(1).NextBytes(much);
        Assert.True(reactors.Send(connection, much));
        Assert.True(reactors.Group.EndWrite(connection.Id, connection.Owner));
        Assert.Equal(much, TestReactors.ReadToEnd(client));
        await Patience.UntilAsync(() => reactors.Metrics.BufferedBytes == 0, "an empty buffer");
    }

    [Fact]
    public async Task Closing_waits_for_what_is_queued()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect(receiveBuffer: 4096);
        byte[] much = new byte[3 << 20];
        new Random(1).NextBytes(much);
        Assert.True(reactors.Send(connection, much));
        reactors.Group.CloseWhenFlushed(connection.Id, connection.Owner, CloseReason.LinkLost);
        Assert.Equal(much, TestReactors.ReadToEnd(client));
        await Patience.UntilAsync(() => connection.Closed == CloseReason.LinkLost, "the close");
    }

    [Theory]
    [InlineData("", "opening, last words")]
    [InlineData("before, ", "before, last words")]
    public async Task SendLast_sends_its_opening_only_if_nothing_was_sent_before(string before, string received)
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        if (before.Length > 0) reactors.Send(connection, before);
        reactors.Group.SendLast(connection.Id, connection.Owner + 1, "not "u8, "its owner"u8);
        reactors.Group.SendLast(connection.Id, connection.Owner, "opening, "u8, "last words"u8);
        reactors.Group.SendLast(connection.Id, connection.Owner, "too "u8, "late"u8);
        Assert.False(reactors.Send(connection, "too late"));

        Assert.Equal(received, Encoding.ASCII.GetString(TestReactors.ReadToEnd(client)));
        client.Send("I hear"u8);
        await Patience.UntilAsync(() => connection.Text == "I hear", "what the client still says");
        client.Shutdown(SocketShutdown.Send);
        await Patience.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
    }

    /// <summary>epoll reports an arrival once: a connection of which something was left, or that was paused just then, must not wait for another.</summary>
    [Theory]
    [InlineData(1, 20_000)]
    [InlineData(1000, 1_000_000)]
    [InlineData(64 << 10, 4 << 20)]
    public async Task Everything_is_read_to_its_end_however_little_is_taken_at_a_time(int room, int total)
    {
        using TestReactors reactors = new();
        reactors.Handler.Room = _ => room;
        (Socket client, TestConnection connection) = reactors.Connect();
        byte[] all = new byte[total];
        Random random = new(room);
        for (int i = 0; i < total; i++) all[i] = (byte)('a' + random.Next(26));
        Task pausing = Task.Run(() =>
        {
            for (bool pause = true; connection.Events == ""; pause = !pause) reactors.Group.PauseReading(connection.Id, connection.Owner, pause);
            reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        });

        for (int at = 0; at < total;)
        {
            int piece = Math.Min(total - at, random.Next(1, 2 * room));
            client.Send(all, at, piece, SocketFlags.None);
            at += piece;
        }

        client.Shutdown(SocketShutdown.Send);
        await Patience.UntilAsync(() => connection.Events == "half-closed", "the end of it");
        await Patience.WithinAsync(pausing, "the pauses");
        Assert.Equal(Encoding.ASCII.GetString(all), connection.Text);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(101)]
    [InlineData(200)]
    public async Task What_arrived_with_the_end_is_read_and_so_is_the_end(int total)
    {
        using TestReactors reactors = new();
        reactors.Handler.Room = _ => 100;
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: true);
        client.Send(Encoding.ASCII.GetBytes(new string('x', total)));
        client.Shutdown(SocketShutdown.Send);
        await Task.Delay(Patience.Short);
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await Patience.UntilAsync(() => connection.Events == "half-closed", "the end");
        Assert.Equal(new string('x', total), connection.Text);
    }

    /// <summary>A receive stops at urgent data and leaves what is behind it; the urgent byte itself means nothing to XMPP.</summary>
    [Fact]
    public async Task What_follows_urgent_data_is_read_too()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: true);
        client.Send("abc"u8);
        client.Send("!"u8, SocketFlags.OutOfBand);
        client.Send("def"u8);
        await Task.Delay(Patience.Short);
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await Patience.UntilAsync(() => connection.Text == "abcdef", "both sides of the urgent byte");

        client.Send("?"u8, SocketFlags.OutOfBand);
        await Task.Delay(Patience.Short);
        int batches = reactors.Handler.Batches;
        await Task.Delay(Patience.Short);
        Assert.InRange(reactors.Handler.Batches - batches, 0, 3);
        client.Send("ghi"u8);
        client.Shutdown(SocketShutdown.Send);
        await Patience.UntilAsync(() => connection.Events == "half-closed", "the end");
        Assert.Equal("abcdefghi", connection.Text);
    }

    [Fact]
    public async Task A_connection_that_is_paused_and_resumed_while_the_client_hangs_up_is_read_to_its_end()
    {
        using TestReactors reactors = new();
        for (int i = 0; i < 1000; i++)
        {
            (Socket client, TestConnection connection) = reactors.Connect();
            reactors.Group.PauseReading(connection.Id, connection.Owner, pause: true);
            reactors.Group.EndWrite(connection.Id, connection.Owner);
            Assert.Empty(TestReactors.ReadToEnd(client));
            client.Send("last"u8);
            Task resuming = Task.Run(() => reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false));
            client.Shutdown(SocketShutdown.Send);
            await resuming;
            await Patience.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the end");
            Assert.Equal("last", connection.Text);
        }
    }

    [Fact]
    public async Task While_reading_is_paused_nothing_is_read_and_nothing_is_lost()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: true);
        client.Send("later"u8);
        client.Shutdown(SocketShutdown.Send);
        await Task.Delay(Patience.Short);
        Assert.Equal(("", ""), (connection.Text, connection.Events));
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await Patience.UntilAsync(() => connection.Text == "later" && connection.Events == "half-closed", "what was sent meanwhile");
    }

    [Fact]
    public async Task A_paused_connection_that_both_sides_have_ended_takes_no_processor_time_and_is_read_later()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: true);
        client.Send("last words"u8);
        client.Shutdown(SocketShutdown.Send);
        reactors.Group.EndWrite(connection.Id, connection.Owner);
        Assert.Empty(TestReactors.ReadToEnd(client));

        // epoll would report such a hang-up for as long as it watches the descriptor.
        await Task.Delay(Patience.Short);
        int batches = reactors.Handler.Batches;
        await Task.Delay(Patience.Short);
        Assert.InRange(reactors.Handler.Batches - batches, 0, 3);

        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await Patience.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
        Assert.Equal("last words", connection.Text);
    }

    [Fact]
    public async Task The_handler_is_told_when_a_slow_client_reaches_the_high_mark_and_when_it_is_down_to_the_low_one()
    {
        using TestReactors reactors = new(buffers: SmallBuffers);
        (Socket client, TestConnection connection) = reactors.Connect(receiveBuffer: 4096);
        byte[] piece = new byte[8 << 10];
        int sent = 0;
        while (connection.Events.Length == 0 && sent < 20 << 20)
        {
            Assert.True(reactors.Send(connection, piece));
            sent += piece.Length;
            if (reactors.Metrics.BufferedBytes >= SmallBuffers.HighBytes) await Patience.UntilAsync(() => connection.Events.Length > 0, "high");
        }

        Assert.Equal("high", connection.Events);
        Assert.InRange(reactors.Metrics.BufferedBytes, SmallBuffers.HighBytes, SmallBuffers.HighBytes + piece.Length);
        TestReactors.Read(client, sent);
        await Patience.UntilAsync(() => connection.Events == "high low", "no longer slow");
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
    }

    [Fact]
    public async Task A_client_whose_buffer_would_pass_its_limit_is_closed()
    {
        using TestReactors reactors = new(buffers: SmallBuffers);
        (_, TestConnection connection) = reactors.Connect(receiveBuffer: 4096);
        byte[] piece = new byte[64 << 10];
        int pieces = 0;
        while (reactors.Send(connection, piece) && pieces < 1000) pieces++;
        await Patience.UntilAsync(() => connection.Closed is not null, "the close");
        Assert.Equal(CloseReason.BufferLimit, connection.Closed);
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
        Assert.Equal(0, reactors.Group.Count);
    }

    [Fact]
    public async Task The_client_that_would_pass_the_bound_of_all_buffers_is_closed()
    {
        using TestReactors reactors = new(buffers: SmallBuffers with { LimitBytes = 64 << 20, TotalBytes = 2 << 20 });
        (Socket patient, TestConnection first) = reactors.Connect(receiveBuffer: 4096);
        byte[] piece = new byte[64 << 10];
        long sent = 0;
        while (reactors.Metrics.BufferedBytes < 1 << 20)
        {
            Assert.True(reactors.Send(first, piece));
            sent += piece.Length;
        }

        (_, TestConnection second) = reactors.Connect(receiveBuffer: 4096);
        while (reactors.Send(second, piece))
        {
        }

        await Patience.UntilAsync(() => second.Closed is not null, "the close");
        Assert.Equal(CloseReason.BufferTotal, second.Closed);
        Assert.Null(first.Closed);
        TestReactors.Read(patient, (int)sent);
        await Patience.UntilAsync(() => reactors.Metrics.BufferedBytes == 0, "empty buffers");
    }

    [Fact]
    public async Task The_bound_of_all_buffers_is_about_their_memory_not_about_what_is_in_them()
    {
        // What waits doubles its memory when it is full: from 64 KiB to 128, which is more than 100,000 bytes.
        using TestReactors reactors = new(buffers: SmallBuffers with { LimitBytes = 100_000, TotalBytes = 100_000 });
        (_, TestConnection connection) = reactors.Connect(receiveBuffer: 4096);
        byte[] piece = new byte[1000];
        long most = 0;
        while (reactors.Send(connection, piece)) most = Math.Max(most, reactors.Metrics.BufferedBytes);

        await Patience.UntilAsync(() => connection.Closed is not null, "the close");
        Assert.Equal(CloseReason.BufferTotal, connection.Closed);
        Assert.InRange(most, 1, 64 << 10);
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
    }

    [Fact]
    public async Task What_the_handler_has_no_room_for_is_read_in_order_when_it_has()
    {
        using TestReactors reactors = new();
        int room = 1000;
        reactors.Handler.Room = _ => Volatile.Read(ref room);
        (Socket client, TestConnection connection) = reactors.Connect();
        byte[] stream = new byte[200_000];
        new Random(2).NextBytes(stream);
        Task sending = Task.Run(() =>
        {
            client.Send(stream);
            client.Shutdown(SocketShutdown.Send);
        });
        for (int i = 0; i < 50; i++)
        {
            Volatile.Write(ref room, 0);
            await Task.Delay(1);
            Volatile.Write(ref room, 1 + 37 * i);
            reactors.Group.ReleaseStalled();
        }

        Volatile.Write(ref room, 64 << 10);
        reactors.Group.ReleaseStalled();
        await Patience.WithinAsync(sending, "the client");
        await Patience.UntilAsync(() => connection.Events == "half-closed", "the end");
        Assert.Equal(stream, connection.Received);
    }

    [Fact]
    public async Task A_stalled_connection_takes_no_processor_time()
    {
        using TestReactors reactors = new();
        reactors.Handler.Room = _ => 0;
        (Socket client, _) = reactors.Connect();
        client.Send("x"u8);
        await Task.Delay(Patience.Short);
        int batches = reactors.Handler.Batches;
        await Task.Delay(Patience.Short);
        Assert.InRange(reactors.Handler.Batches - batches, 0, 2);
    }

    [Fact]
    public async Task A_handler_that_wants_no_more_input_is_not_asked_again()
    {
        using TestReactors reactors = new();
        int asked = 0;
        reactors.Handler.Room = _ =>
        {
            Interlocked.Increment(ref asked);
            return -1;
        };
        (Socket client, TestConnection connection) = reactors.Connect();
        client.Send("x"u8);
        await Patience.UntilAsync(() => Volatile.Read(ref asked) == 1, "the question");
        client.Send("y"u8);
        client.Shutdown(SocketShutdown.Send);
        await Task.Delay(Patience.Short);
        Assert.Equal((1, "", ""), (Volatile.Read(ref asked), connection.Text, connection.Events));

        // Sending goes on.
        Assert.True(reactors.Send(connection, "z"));
        Assert.Equal("z", TestReactors.ReadText(client, 1));
    }

    [Theory]
    [InlineData("half-closed")]
    [InlineData("closed")]
    public async Task A_notification_that_would_block_is_repeated(string notification)
    {
        using TestReactors reactors = new();
        bool room = false;
        int asked = 0;
        reactors.Handler.Answer = (_, what) =>
        {
            if (what != notification) return Outcome.Done;
            Interlocked.Increment(ref asked);
            return Volatile.Read(ref room) ? Outcome.Done : Outcome.WouldBlock;
        };
        (Socket client, TestConnection connection) = reactors.Connect();
        if (notification == "half-closed") client.Shutdown(SocketShutdown.Send);
        else reactors.Group.Abort(connection.Id, connection.Owner, CloseReason.IdleTimeout);
        for (int i = 1; i <= 3; i++)
        {
            await Patience.UntilAsync(() => Volatile.Read(ref asked) >= i, $"question {i}");
            reactors.Group.ReleaseStalled();
        }

        Assert.Equal("", connection.Events);
        Assert.Equal(1, reactors.Group.Count);
        Volatile.Write(ref room, true);
        reactors.Group.ReleaseStalled();
        await Patience.UntilAsync(() => connection.Events.Length > 0, notification);
        Assert.Equal(notification == "half-closed" ? "half-closed" : "closed:IdleTimeout", connection.Events);
        await Patience.UntilAsync(() => reactors.Group.Count == (notification == "half-closed" ? 1 : 0), "the place");
    }

    [Fact]
    public async Task A_connection_is_closed_when_its_handler_has_no_more_use_for_it()
    {
        using TestReactors reactors = new();
        reactors.Handler.Answer = (_, what) => what == "half-closed" ? Outcome.Closed : Outcome.Done;
        (Socket client, TestConnection connection) = reactors.Connect();
        client.Shutdown(SocketShutdown.Send);
        Assert.Empty(TestReactors.ReadToEnd(client));
        await Patience.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
    }

    [Fact]
    public async Task An_abort_resets_the_client_and_reports_its_reason()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        Assert.True(reactors.Group.Abort(connection.Id, connection.Owner, CloseReason.IdleTimeout));
        Assert.Equal(SocketError.ConnectionReset, Assert.Throws<SocketException>(() => TestReactors.ReadToEnd(client)).SocketErrorCode);
        await Patience.UntilAsync(() => connection.Events == "closed:IdleTimeout", "the close");
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
            goOn.Wait(Patience.Long);
        };
        holder.Send("x"u8);
        Assert.True(held.Wait(Patience.Long));

        // The reactor's thread is blocked while the same is requested again and again, and something else at last.
        for (int i = 0; i < PostedIds.Capacity; i++)
            reactors.Group.CloseWhenFlushed(waiting.Id, waiting.Owner, CloseReason.LinkLost);
        Assert.True(reactors.Group.Abort(ending.Id, ending.Owner, CloseReason.IdleTimeout));
        goOn.Set();

        await Patience.UntilAsync(() => ending.Events == "closed:IdleTimeout", "the close");
        Assert.Equal(much, TestReactors.ReadToEnd(slow));
        await Patience.UntilAsync(() => waiting.Closed == CloseReason.LinkLost, "the other close");

        // Afterwards single requests are carried out again.
        (_, TestConnection next) = reactors.Connect();
        Assert.True(reactors.Group.Abort(next.Id, next.Owner, CloseReason.IdleTimeout));
        await Patience.UntilAsync(() => next.Events == "closed:IdleTimeout", "the last close");
    }

    [Fact]
    public async Task A_client_that_resets_is_closed_with_a_socket_error()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        client.LingerState = new LingerOption(true, 0);
        client.Dispose();
        await Patience.UntilAsync(() => connection.Events == "closed:SocketError", "the close");
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
        await Patience.UntilAsync(() => ended.Closed is not null && endedByUs.Closed is not null, "the timeouts");
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
        await Patience.UntilAsync(() => reactors.Group.Count == 30, "the sweep");
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
        await Patience.UntilAsync(() => reactors.Group.Count == 0, "the sweep");
    }

    [Fact]
    public async Task Refused_clients_are_closed_and_counted()
    {
        using TestReactors reactors = new(maxConnections: 1);
        reactors.Connect();
        using (Socket refused = Plain(reactors)) Assert.Empty(TestReactors.ReadToEnd(refused));
        await Patience.UntilAsync(() => reactors.Metrics.Refused(RefusalReason.TooMany) == 1, "the count");
        Assert.Equal(1, reactors.Group.Count);
    }

    [Fact]
    public async Task The_handlers_refusal_is_counted_under_its_reason()
    {
        using TestReactors reactors = new();
        reactors.Handler.Refuses = RefusalReason.NoLink;
        using Socket refused = Plain(reactors);
        Assert.Empty(TestReactors.ReadToEnd(refused));
        await Patience.UntilAsync(() => reactors.Metrics.Refused(RefusalReason.NoLink) == 1, "the count");
    }

    [Fact]
    public async Task After_it_stopped_accepting_it_keeps_its_clients_and_refuses_new_ones()
    {
        using TestReactors reactors = new();
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.StopAccepting();
        await Patience.UntilAsync(
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
        await Patience.UntilAsync(() => connection.Text == "still", "the client");
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
