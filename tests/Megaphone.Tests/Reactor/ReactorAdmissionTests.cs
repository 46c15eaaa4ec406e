using System.Net.Sockets;
using System.Text;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Connections that are accepted have to be admitted, if there is a time for that.</summary>
public class ReactorAdmissionTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task Who_is_not_admitted_in_time_is_closed_with_the_last_words_for_it()
    {
        using TestReactors reactors = new(admit: Short);
        reactors.Handler.CloseReasonOfLate = CloseReason.LoginTimeout;
        reactors.Handler.LastOf = hasSent => hasSent ? "too late"u8.ToArray() : [];
        (Socket silent, TestConnection one) = reactors.Connect();
        (Socket greeted, TestConnection other) = reactors.Connect();
        reactors.Send(other, "hello, ");

        Assert.Throws<SocketException>(() => TestReactors.ReadToEnd(silent));
        await BoundedWait.UntilAsync(() => one.Events == "closed:LoginTimeout", "the end of one who has nothing more to hear");
        Assert.Equal("hello, too late", Encoding.ASCII.GetString(TestReactors.ReadToEnd(greeted)));
        greeted.Shutdown(SocketShutdown.Send);
        await BoundedWait.UntilAsync(() => other.Events.Contains("closed", StringComparison.Ordinal), "the end of the other");
        Assert.Equal(CloseReason.LoginTimeout, other.Closing!.Value.Reason);
    }

    [Fact]
    public async Task Who_is_admitted_stays_and_is_so_once()
    {
        using TestReactors reactors = new(admit: Short);
        reactors.Handler.CloseReasonOfLate = CloseReason.LoginTimeout;
        (_, TestConnection late) = reactors.Connect();
        (Socket client, TestConnection connection) = reactors.Connect();
        reactors.Group.Admit(connection.Id, connection.Owner + 1);
        Assert.Equal("", connection.Events);
        reactors.Group.Admit(connection.Id, connection.Owner);
        reactors.Group.Admit(connection.Id, connection.Owner);
        Assert.Equal("admitted", connection.Events);

        await BoundedWait.UntilAsync(() => late.Events == "closed:LoginTimeout", "the end of the one that was not");
        await BoundedWait.NeverAsync(() => connection.Events != "admitted", "the other one is closed");
        reactors.Send(connection, "x");
        Assert.Equal("x", TestReactors.ReadText(client, 1));
    }

    [Fact]
    public async Task Whom_the_handler_lets_stay_stays()
    {
        using TestReactors reactors = new(admit: Short);
        (_, TestConnection connection) = reactors.Connect();
        await BoundedWait.NeverAsync(() => connection.Events.Length > 0, "something happens to it");
    }

    [Fact]
    public async Task Who_has_gone_or_was_never_there_is_not_admitted()
    {
        using TestReactors reactors = new(admit: Short);
        (Socket client, TestConnection connection) = reactors.Connect();

        // A reset: an end would leave the connection half open, for a minute.
        client.LingerState = new LingerOption(true, 0);
        client.Dispose();
        await BoundedWait.UntilAsync(() => reactors.Group.Count == 0, "the end");
        string events = connection.Events;
        reactors.Group.Admit(connection.Id, connection.Owner);
        reactors.Group.Admit(new ConnectionId(7), 1);
        reactors.Group.Admit(new ConnectionId(ulong.MaxValue), 1);
        Assert.Equal(events, connection.Events);
    }

    [Fact]
    public async Task A_connection_of_our_own_needs_no_admission()
    {
        using TestReactors reactors = new(admit: Short);
        TestConnection connection = reactors.ConnectTo(reactors.Address);
        await BoundedWait.UntilAsync(() => connection.Events == "connected", "the connection");
        reactors.Group.Admit(connection.Id, connection.Owner);
        await BoundedWait.NeverAsync(() => connection.Events != "connected", "it is closed or admitted");
    }

    [Fact]
    public async Task While_the_handler_wants_it_all_connections_are_looked_at_every_so_often()
    {
        using TestReactors reactors = new(look: TimeSpan.FromMilliseconds(50));
        (Socket client, TestConnection one) = reactors.Connect();
        (_, TestConnection other) = reactors.Connect();
        (_, TestConnection paused) = reactors.Connect();
        reactors.Group.PauseReading(paused.Id, paused.Owner, pause: true);
        int looks = 0;
        reactors.Handler.CloseReasonOfLook = connection =>
            connection == paused || (connection == one && Interlocked.Increment(ref looks) == 3) ? CloseReason.StanzaTimeout : null;
        await BoundedWait.NeverAsync(() => Volatile.Read(ref looks) > 0, "it looks unasked");
        reactors.Handler.HasUnfinished = true;
        client.Send("x"u8);
        await BoundedWait.UntilAsync(() => one.Events == "closed:StanzaTimeout", "the end of the one, at the third look");
        Assert.Equal(("", ""), (other.Events, paused.Events));
    }

    [Fact]
    public async Task What_waits_for_a_connection_that_is_not_admitted_is_bounded_more_tightly()
    {
        BufferOptions buffers = new() { UnadmittedBytes = 10_000 };
        using TestReactors reactors = new(buffers: buffers, admit: TimeSpan.FromMinutes(1));
        (_, TestConnection stranger) = reactors.Connect(receiveBuffer: 4096);
        (_, TestConnection guest) = reactors.Connect(receiveBuffer: 4096);
        reactors.Group.Admit(guest.Id, guest.Owner);
        byte[] much = new byte[16 << 20];
        reactors.Send(stranger, much);
        reactors.Send(guest, much[..(12 << 20)]);
        await BoundedWait.UntilAsync(() => stranger.Events.EndsWith("closed:BufferLimit", StringComparison.Ordinal), "the end of the stranger");
        Assert.DoesNotContain("closed", guest.Events, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_arrives_and_is_refused_is_closed_and_not_counted()
    {
        using TestReactors reactors = new();
        reactors.Handler.RefusesArrival = RefusalReason.Limited;
        using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(reactors.Address);
        client.ReceiveTimeout = (int)BoundedWait.Limit.TotalMilliseconds;
        Assert.Empty(TestReactors.ReadToEnd(client));
        await BoundedWait.UntilAsync(() => reactors.Metrics.Refused(RefusalReason.Limited) == 1, "the refusal is counted");
        Assert.Equal(0, reactors.Handler.TurnedAway);
    }

    [Fact]
    public async Task Where_there_is_no_place_one_who_is_not_admitted_gives_way_and_one_who_is_does_not()
    {
        using TestReactors reactors = new(maxConnections: 2);
        (Socket first, TestConnection stranger) = reactors.Connect();
        (Socket second, TestConnection guest) = reactors.Connect();
        reactors.Group.Admit(guest.Id, guest.Owner);
        reactors.Handler.GivesWay = () =>
            !reactors.Group.AbortStranger(guest.Id, guest.Owner, CloseReason.GaveWay)
            && reactors.Group.AbortStranger(stranger.Id, stranger.Owner, CloseReason.GaveWay);

        (Socket third, TestConnection next) = reactors.Connect();
        Assert.Throws<SocketException>(() => TestReactors.ReadToEnd(first));
        await BoundedWait.UntilAsync(() => stranger.Events == "closed:GaveWay", "the end of the stranger");
        reactors.Send(guest, "x");
        reactors.Send(next, "y");
        Assert.Equal("x", TestReactors.ReadText(second, 1));
        Assert.Equal("y", TestReactors.ReadText(third, 1));
        Assert.Equal(0, reactors.Metrics.Refused(RefusalReason.TooMany));

        // Nobody gives way twice.
        using Socket last = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        last.Connect(reactors.Address);
        await BoundedWait.UntilAsync(() => reactors.Metrics.Refused(RefusalReason.TooMany) == 1, "the refusal is counted");
        Assert.Equal((1, 2), (reactors.Handler.TurnedAway, reactors.Group.Count));
    }

    [Fact]
    public async Task Who_arrived_and_finds_no_place_is_turned_away()
    {
        using TestReactors reactors = new(maxConnections: 1);
        reactors.Connect();
        AcceptedTls none = default;
        NativeAddress peer = new(reactors.Address);
        int descriptor = Libc.Socket(Libc.AfInet, Libc.SockStream | Libc.SockNonBlock | Libc.SockCloseOnExec, 0);
        reactors.Group.Accept(descriptor, peer, 0, ref none);
        await BoundedWait.UntilAsync(() => reactors.Handler.TurnedAway == 1, "the handler is told");
    }
}
