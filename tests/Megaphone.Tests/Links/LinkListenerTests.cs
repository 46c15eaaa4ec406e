using System.Net;
using System.Net.Sockets;
using Megaphone.Links;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>How many links there may be, and who makes room for whom.</summary>
public sealed class LinkListenerTests : IDisposable
{
    private readonly RoleMetrics _metrics = new(Role.Hub);
    private readonly RecordingLog _log = new();
    private readonly LinkListener _listener;
    private readonly List<Socket> _peers = [];

    public LinkListenerTests() => _listener = new LinkListener(
        new IPEndPoint(IPAddress.Loopback, 0), 2, new LinkOptions(), () => new RecordingHandler(), _metrics, new LinkLog(_log));

    [Fact]
    public async Task The_oldest_that_is_silent_makes_room_for_a_new_one()
    {
        Socket speaking = Connect();
        speaking.Send(Packets.Of(7, "hi"));
        await Patience.UntilAsync(() => _metrics.Links == 1, "the first link");
        Socket silent = Connect();
        await Patience.UntilAsync(() => _listener.Links().Length == 2, "the second link");

        Socket late = Connect();
        AssertEnded(silent);
        late.Send(Packets.Of(7, "hi"));
        await Patience.UntilAsync(() => _metrics.Links == 2, "the third link");
        Assert.Equal(2, _listener.Links().Length);
    }

    [Fact]
    public async Task When_all_speak_a_new_one_is_turned_away_and_counted()
    {
        for (int i = 1; i <= 2; i++)
        {
            Connect().Send(Packets.Of(7, "hi"));
            await Patience.UntilAsync(() => _metrics.Links == i, "the links");
        }

        AssertEnded(Connect());
        Assert.Equal(1, _metrics.Refused(RefusalReason.TooMany));
        Assert.Equal(2, _metrics.Links);
    }

    [Fact]
    public async Task A_link_that_is_over_leaves_its_place()
    {
        for (int i = 0; i < 20; i++)
        {
            Socket peer = Connect();
            peer.Send(Packets.Of(7, "hi"));
            await Patience.UntilAsync(() => _metrics.Links == 1, "the link");
            peer.Dispose();
            await Patience.UntilAsync(() => _metrics.Links == 0 && _listener.Links().Length == 0, "its end");
        }

        Assert.Equal(0, _metrics.Refused(RefusalReason.TooMany));
    }

    [Fact]
    public async Task One_links_protocol_error_does_not_touch_another()
    {
        Socket good = Connect();
        good.Send(Packets.Of(7, "hi"));
        await Patience.UntilAsync(() => _metrics.Links == 1, "the good link");
        Socket bad = Connect();
        bad.Send(new byte[100]);
        AssertEnded(bad);
        await Patience.UntilAsync(() => _metrics.ProtocolErrors == 1, "the error");
        Assert.Equal(1, _metrics.Links);
        good.Send(Packets.Of(7, "still"));
        await Patience.UntilAsync(() => _metrics.PacketsIn == 2, "the next packet");
    }

    [Fact]
    public void An_address_that_is_taken_is_told_in_words()
    {
        IOException problem = Assert.Throws<IOException>(() => new LinkListener(
            _listener.Listening, 2, new LinkOptions(), () => new RecordingHandler(), _metrics, new LinkLog(_log)));
        Assert.StartsWith($"cannot listen on {_listener.Listening}: ", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_can_be_bound_again_while_the_kernel_remembers_its_connections()
    {
        Socket peer = Connect();
        peer.Send(Packets.Of(7, "hi"));
        await Patience.UntilAsync(() => _metrics.Links == 1, "the link");
        _listener.Dispose();

        // We end first, in order: the connection stays in TIME_WAIT on our side.
        Task draining = _listener.Links()[0].DrainAsync(CancellationToken.None);
        AssertEnded(peer);
        peer.Dispose();
        await Patience.WithinAsync(draining, "the drained link");
        using LinkListener again = new(
            _listener.Listening, 2, new LinkOptions(), () => new RecordingHandler(), _metrics, new LinkLog(_log));
        Assert.Equal(_listener.Listening, again.Listening);
    }

    [Fact]
    public async Task A_closed_listener_leaves_its_links()
    {
        Socket peer = Connect();
        peer.Send(Packets.Of(7, "hi"));
        await Patience.UntilAsync(() => _metrics.Links == 1, "the link");
        _listener.Dispose();
        Assert.Throws<SocketException>(() => Connect());
        peer.Send(Packets.Of(7, "still"));
        await Patience.UntilAsync(() => _metrics.PacketsIn == 2, "the next packet");
    }

    public void Dispose()
    {
        _listener.Dispose();
        foreach (Link link in _listener.Links()) link.Close("the test is over");
        _peers.ForEach(peer => peer.Dispose());
    }

    /// <summary>In order or with a reset: closing at once may be either.</summary>
    private static void AssertEnded(Socket peer)
    {
        try
        {
            Assert.Equal(0, peer.Receive(new byte[1]));
        }
        catch (SocketException e)
        {
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        }
    }

    private Socket Connect()
    {
        Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _peers.Add(peer);
        peer.ReceiveTimeout = (int)Patience.Long.TotalMilliseconds;
        peer.Connect(_listener.Listening);
        return peer;
    }
}
