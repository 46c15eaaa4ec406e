using System.Net;
using System.Net.Sockets;
using System.Text;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>What is sent and what waits, within which bounds, and how our direction ends.</summary>
public class ReactorOutputTests
{
    private static readonly BufferOptions SmallBuffers =
        new() { LowBytes = 16 << 10, HighBytes = 64 << 10, LimitBytes = 4 << 20, TotalBytes = 64 << 20 };

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
        await BoundedWait.UntilAsync(() => reactors.Metrics.BufferedBytes == 0, "an empty buffer");
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
        await BoundedWait.UntilAsync(() => connection.Closed == CloseReason.LinkLost, "the close");
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
        EndPoint there = client.RemoteEndPoint!;
        Assert.Equal(client.LocalEndPoint, reactors.Group.PeerOf(connection.Id).ToEndPoint());
        reactors.Group.SendLast(connection.Id, connection.Owner, "opening, "u8, "last words"u8, CloseReason.StreamError);
        reactors.Group.SendLast(connection.Id, connection.Owner, "too "u8, "late"u8);
        Assert.False(reactors.Send(connection, "too late"));

        Assert.Equal(received, Encoding.ASCII.GetString(TestReactors.ReadToEnd(client)));
        client.Send("I hear"u8);
        await BoundedWait.UntilAsync(() => connection.Text == "I hear", "what the client still says");
        client.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => connection.Events == "half-closed closed:Ended", "the close");

        // The socket could still be asked, and the reason is that of the last words.
        (SurveyedConnection seen, NativeAddress local, CloseReason reason) = connection.Closing!.Value;
        Assert.Equal((connection.Id, connection.Owner, CloseReason.StreamError), (seen.Id, seen.Owner, reason));
        Assert.Equal(there, local.ToEndPoint());
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
            if (reactors.Metrics.BufferedBytes >= SmallBuffers.HighBytes) await BoundedWait.UntilAsync(() => connection.Events.Length > 0, "high");
        }

        Assert.Equal("high", connection.Events);
        Assert.InRange(reactors.Metrics.BufferedBytes, SmallBuffers.HighBytes, SmallBuffers.HighBytes + piece.Length);
        TestReactors.Read(client, sent);
        await BoundedWait.UntilAsync(() => connection.Events == "high low", "no longer slow");
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
        await BoundedWait.UntilAsync(() => connection.Closed is not null, "the close");
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

        await BoundedWait.UntilAsync(() => second.Closed is not null, "the close");
        Assert.Equal(CloseReason.BufferTotal, second.Closed);
        Assert.Null(first.Closed);
        TestReactors.Read(patient, (int)sent);
        await BoundedWait.UntilAsync(() => reactors.Metrics.BufferedBytes == 0, "empty buffers");
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

        await BoundedWait.UntilAsync(() => connection.Closed is not null, "the close");
        Assert.Equal(CloseReason.BufferTotal, connection.Closed);
        Assert.InRange(most, 1, 64 << 10);
        Assert.Equal(0, reactors.Metrics.BufferedBytes);
    }
}
