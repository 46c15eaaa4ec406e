using System.Net;
using System.Net.Sockets;
using System.Text;
using Megaphone.Links;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>The limits of a listener, and which connection is evicted.</summary>
public sealed class LinkListenerTests : IDisposable
{
    private readonly RoleMetrics _metrics = new(Role.Hub);
    private readonly RecordingLog _log = new();
    private readonly LinkListener _listener;
    private readonly List<Socket> _peers = [];

    public LinkListenerTests()
    {
        _listener = new LinkListener(
            new IPEndPoint(IPAddress.Loopback, 0), 2, new LinkOptions(), () => new RecordingHandler(), _metrics, new LinkLog(_log));
        _listener.Start();
    }

    [Fact]
    public async Task At_MaxLinks_the_oldest_silent_connection_is_evicted()
    {
        Socket speaking = Connect();
        speaking.Send(Packets.Of(7, "hi"));
        await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the first link");
        Socket silent = Connect();
        await BoundedWait.UntilAsync(() => _listener.Connections().Length == 2, "the second link");

        Socket late = Connect();
        AssertEnded(silent);
        late.Send(Packets.Of(7, "hi"));
        await BoundedWait.UntilAsync(() => _metrics.Links == 2, "the third link");
        Assert.Equal(2, _listener.Connections().Length);
        Assert.Equal(1, _metrics.Refused(RefusalReason.TooMany));
    }

    [Fact]
    public async Task An_address_that_opens_very_many_connections_evicts_only_its_own()
    {
        Socket honest = Connect();
        await BoundedWait.UntilAsync(() => _listener.Connections().Length == 1, "the honest link");
        for (int i = 0; i < 20; i++)
        {
            Socket another = Connect(from: "127.0.0.2");
            await BoundedWait.UntilAsync(() => _listener.Connections().LastOrDefault()?.Peer == another.LocalEndPoint!.ToString(), "the next link");
        }

        honest.Send(Packets.Of(7, "hi"));
        await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the honest link's packet");
        Assert.Equal(2, _listener.Connections().Length);
    }

    [Fact]
    public async Task Log_lines_that_anybody_can_cause_are_limited_and_summed_up()
    {
        const int links = 60;
        for (int i = 0; i < links; i++)
        {
            Socket good = Connect();
            good.Send(Packets.Of(7, "hi"));
            await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the link");
            good.Dispose();
            await BoundedWait.UntilAsync(() => _metrics.Links == 0 && _listener.Connections().Length == 0, "its end");
            Socket bad = Connect();
            bad.Send(new byte[100]);
            AssertEnded(bad);
            await BoundedWait.UntilAsync(() => _listener.Connections().Length == 0, "its end");
        }

        _listener.Dispose();
        foreach ((string each, string all) in new[]
                 {
                     (" is up: ", " more links came up in the last 30 s; "),
                     (" is down after ", " more links went down in the last 30 s; "),
                     ("protocol error: ", " more links were closed for a protocol error in the last 30 s; "),
                 })
        {
            int logged = _log.Lines.Count(line => line.Contains(each, StringComparison.Ordinal));
            Assert.Equal(20, logged);
            string more = Assert.Single(_log.Lines, line => line.Contains(all, StringComparison.Ordinal));
            Assert.StartsWith($"{links - logged} more", more, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Events_of_authenticated_links_are_always_logged()
    {
        using LinkListener guarded = Guarded(links: 2);
        for (int i = 0; i < 30; i++)
        {
            using Socket peer = Connect(guarded);
            peer.Send(Packets.Of(0, Hello("s3")));
            await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the link");
            peer.Dispose();
            await BoundedWait.UntilAsync(() => _metrics.Links == 0 && guarded.Connections().Length == 0, "its end");
        }

        Assert.Equal(30, _log.Lines.Count(line => line.Contains(" is up: ", StringComparison.Ordinal)));
        Assert.Equal(30, _log.Lines.Count(line => line.Contains(" is down after ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_wrong_secret_delays_its_address_by_a_second_and_no_other_address()
    {
        using LinkListener guarded = Guarded(links: 64);
        using Socket wrong = Connect(guarded);
        wrong.Send(Packets.Of(0, Hello("guess")));
        Assert.Contains("the secret is missing or wrong", Answer(wrong), StringComparison.Ordinal);

        // The right one waits as well, and what follows it is not read before it.
        long began = Environment.TickCount64;
        using Socket right = Connect(guarded);
        right.Send([.. Packets.Of(0, Hello("s3")), .. Packets.Of(7, "hi")]);
        using Socket elsewhere = Connect(guarded, "127.0.0.2");
        elsewhere.Send(Packets.Of(0, Hello("s3")));
        Assert.Contains("welcome", Answer(elsewhere), StringComparison.Ordinal);
        Assert.Contains("welcome", Answer(right), StringComparison.Ordinal);
        Assert.InRange(Environment.TickCount64 - began, 500, (long)BoundedWait.Limit.TotalMilliseconds);
        await BoundedWait.UntilAsync(() => _metrics.Links == 2 && _metrics.PacketsIn == 3, "both links, and the packet");
    }

    [Fact]
    public async Task A_link_whose_hello_is_delayed_ends_when_it_is_closed()
    {
        using LinkListener guarded = Guarded(links: 64);
        List<Socket> peers = [.. Enumerable.Range(0, 6).Select(_ => Connect(guarded))];

        // Behind the answer to the first every other one has to wait.
        peers[0].Send(Packets.Of(0, Hello("guess")));
        Assert.Contains("the secret is missing or wrong", Answer(peers[0]), StringComparison.Ordinal);
        foreach (Socket peer in peers[1..]) peer.Send(Packets.Of(0, Hello("guess")));
        foreach (LinkConnection connection in guarded.Connections()) connection.Close("the test wants it so");
        await BoundedWait.UntilAsync(() => guarded.Connections().Length == 0, "the end of all, long before their turn");
    }

    [Fact]
    public async Task When_too_many_guesses_wait_the_next_is_refused_unchecked_and_counted()
    {
        const int guesses = 40;
        using LinkListener guarded = Guarded(links: 64);
        long began = Environment.TickCount64;
        List<Socket> peers = [.. Enumerable.Range(0, guesses).Select(_ => Connect(guarded))];
        foreach (Socket peer in peers) peer.Send(Packets.Of(0, Hello("guess")));

        // On threads of their own: those of the pool accept the links.
        string[] answers = await Task.WhenAll(peers.Select(peer => Task.Factory.StartNew(
            () => Answer(peer), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        int looked = answers.Count(answer => answer.Contains("the secret is missing or wrong", StringComparison.Ordinal));
        Assert.Equal(
            guesses - looked,
            answers.Count(answer => answer.Contains("too many wrong secrets from this address", StringComparison.Ordinal)));
        Assert.InRange(looked, 1, 8 + ((Environment.TickCount64 - began) / 1000));
        await BoundedWait.UntilAsync(() => _metrics.Refused(RefusalReason.Hello) == guesses, "all in the count");
    }

    [Fact]
    public async Task When_all_links_are_up_a_new_connection_is_rejected_and_counted()
    {
        for (int i = 1; i <= 2; i++)
        {
            Connect().Send(Packets.Of(7, "hi"));
            await BoundedWait.UntilAsync(() => _metrics.Links == i, "the links");
        }

        AssertEnded(Connect());
        Assert.Equal(1, _metrics.Refused(RefusalReason.TooMany));
        Assert.Equal(2, _metrics.Links);
    }

    [Fact]
    public async Task A_link_that_has_ended_frees_its_place()
    {
        for (int i = 0; i < 20; i++)
        {
            Socket peer = Connect();
            peer.Send(Packets.Of(7, "hi"));
            await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the link");
            peer.Dispose();
            await BoundedWait.UntilAsync(() => _metrics.Links == 0 && _listener.Connections().Length == 0, "its end");
        }

        Assert.Equal(0, _metrics.Refused(RefusalReason.TooMany));
    }

    [Fact]
    public async Task A_protocol_error_of_one_link_does_not_affect_another()
    {
        Socket good = Connect();
        good.Send(Packets.Of(7, "hi"));
        await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the good link");
        Socket bad = Connect();
        bad.Send(new byte[100]);
        AssertEnded(bad);
        await BoundedWait.UntilAsync(() => _metrics.ProtocolErrors == 1, "the error");
        Assert.Equal(1, _metrics.Links);
        good.Send(Packets.Of(7, "still"));
        await BoundedWait.UntilAsync(() => _metrics.PacketsIn == 2, "the next packet");
    }

    [Fact]
    public void An_address_in_use_is_reported_with_the_reason()
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
        await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the link");
        _listener.Dispose();

        // We close first: the connection stays in TIME_WAIT on our side.
        Task draining = _listener.Connections()[0].DrainAsync(CancellationToken.None);
        AssertEnded(peer);
        peer.Dispose();
        await BoundedWait.WithinAsync(draining, "the drained link");
        using LinkListener again = new(
            _listener.Listening, 2, new LinkOptions(), () => new RecordingHandler(), _metrics, new LinkLog(_log));
        again.Start();
        Assert.Equal(_listener.Listening, again.Listening);
    }

    [Fact]
    public async Task A_closed_listener_leaves_its_links()
    {
        Socket peer = Connect();
        peer.Send(Packets.Of(7, "hi"));
        await BoundedWait.UntilAsync(() => _metrics.Links == 1, "the link");
        _listener.Dispose();
        Assert.Throws<SocketException>(() => Connect());
        peer.Send(Packets.Of(7, "still"));
        await BoundedWait.UntilAsync(() => _metrics.PacketsIn == 2, "the next packet");
    }

    public void Dispose()
    {
        _listener.Dispose();
        foreach (LinkConnection connection in _listener.Connections()) connection.Close("the test is over");
        _peers.ForEach(peer => peer.Dispose());
    }

    /// <summary>With an orderly end or a reset: closing at once may be either.</summary>
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

    private static string Hello(string secret) => $$"""{"op":"hello","version":1,"secret":"{{secret}}"}""";

    /// <summary>The first packet from the other end.</summary>
    private static string Answer(Socket peer)
    {
        byte[] answer = new byte[1_000];
        return Encoding.UTF8.GetString(answer, 0, peer.Receive(answer));
    }

    /// <summary>A listener that requires a secret.</summary>
    private LinkListener Guarded(int links)
    {
        LinkListener guarded = new(
            new IPEndPoint(IPAddress.Loopback, 0), links, new LinkOptions { Secret = "s3" }, () => new RecordingHandler(), _metrics,
            new LinkLog(_log));
        guarded.Start();
        return guarded;
    }

    private Socket Connect(LinkListener? to = null, string from = "127.0.0.1")
    {
        Socket peer = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _peers.Add(peer);
        peer.ReceiveTimeout = (int)BoundedWait.Limit.TotalMilliseconds;
        peer.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
        peer.Connect((to ?? _listener).Listening);
        return peer;
    }
}
