using System.Net.Sockets;
using System.Text;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>What is read, when, and what happens when the handler cannot take it.</summary>
public class ReactorInputTests
{
    /// <summary>epoll reports an arrival once: what a receive left, or what arrived during a pause, must not wait for another.</summary>
    [Theory]
    [InlineData(1, 2000)]
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
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed", "the end of it");
        await BoundedWait.WithinAsync(pausing, "the pauses");
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
        await BoundedWait.NeverAsync(() => connection.Text.Length > 0 || connection.Events.Length > 0, "a paused connection is read");
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed", "the end");
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
        await BoundedWait.NeverAsync(() => connection.Text.Length > 0, "a paused connection is read");
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await BoundedWait.UntilAsync(() => connection.Text == "abcdef", "both sides of the urgent byte");

        client.Send("?"u8, SocketFlags.OutOfBand);
        await AssertRestsAsync(reactors);
        client.Send("ghi"u8);
        client.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed", "the end");
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
            await BoundedWait.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the end");
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
        await BoundedWait.NeverAsync(() => connection.Text.Length > 0 || connection.Events.Length > 0, "a paused connection is read");
        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await BoundedWait.UntilAsync(() => connection.Text == "later" && connection.Events == "half-closed", "what was sent meanwhile");
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
        await AssertRestsAsync(reactors);

        reactors.Group.PauseReading(connection.Id, connection.Owner, pause: false);
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");
        Assert.Equal("last words", connection.Text);
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
        await BoundedWait.WithinAsync(sending, "the client");
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed", "the end");
        Assert.Equal(stream, connection.Received);
    }

    [Fact]
    public async Task A_stalled_connection_takes_no_processor_time()
    {
        using TestReactors reactors = new();
        reactors.Handler.Room = _ => 0;
        (Socket client, _) = reactors.Connect();
        client.Send("x"u8);
        await AssertRestsAsync(reactors);
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
        await BoundedWait.UntilAsync(() => Volatile.Read(ref asked) == 1, "the question");
        client.Send("y"u8);
        client.Shutdown(SocketShutdown.Send);
        await BoundedWait.NeverAsync(
            () => Volatile.Read(ref asked) != 1 || connection.Text.Length > 0 || connection.Events.Length > 0, "a stalled handler is asked again");

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
            await BoundedWait.UntilAsync(() => Volatile.Read(ref asked) >= i, $"question {i}");
            reactors.Group.ReleaseStalled();
        }

        Assert.Equal("", connection.Events);
        Assert.Equal(1, reactors.Group.Count);
        Volatile.Write(ref room, true);
        reactors.Group.ReleaseStalled();
        await BoundedWait.UntilAsync(() => connection.Events.Length > 0, notification);
        Assert.Equal(notification == "half-closed" ? "half-closed" : "closed:IdleTimeout", connection.Events);
        await BoundedWait.UntilAsync(() => reactors.Group.Count == (notification == "half-closed" ? 1 : 0), "the place");
    }

    /// <summary>Asserts that the reactors are not woken again and again.</summary>
    private static async Task AssertRestsAsync(TestReactors reactors)
    {
        await Task.Delay(BoundedWait.Watch);
        int batches = reactors.Handler.Batches;
        await BoundedWait.NeverAsync(() => reactors.Handler.Batches - batches > 3, "epoll reports the same event again and again");
    }
}
