using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>A lost link is reconnected, neither at once nor too late.</summary>
public class LinkConnectorTests
{
    private readonly RecordingHandler _handler = new();
    private readonly RecordingLog _log = new();
    private readonly RoleMetrics _metrics = new(Role.Ecm);

    [Fact]
    public async Task The_delay_doubles_up_to_its_bound_and_half_of_it_is_random()
    {
        using CancellationTokenSource stop = new();
        using Socket server = Bound();
        int[] full = [16, 32, 64, 100, 100, 100];
        Task running = Connector(server, TimeSpan.FromMilliseconds(16), TimeSpan.FromMilliseconds(100)).RunAsync(stop.Token);
        await BoundedWait.UntilAsync(() => _log.DebugLines.Count >= full.Length, "six attempts");
        await stop.CancelAsync();
        await BoundedWait.WithinAsync(running, "the connector");

        for (int i = 0; i < full.Length; i++)
        {
            string line = _log.DebugLines.ElementAt(i).Text;
            int wait = int.Parse(Regex.Match(line, "next in ([0-9]+) ms").Groups[1].Value);
            Assert.StartsWith($"Attempt {i + 1} ", line, StringComparison.Ordinal);
            Assert.InRange(wait, full[i] / 2, full[i]);
            if (i > 0) Assert.InRange(_log.DebugLines.ElementAt(i).At - _log.DebugLines.ElementAt(i - 1).At, full[i - 1] / 2 - 2, long.MaxValue);
        }

        // The same reason again is logged at Debug only.
        Assert.Single(_log.Lines);
    }

    [Fact]
    public async Task A_lost_link_is_reconnected()
    {
        using CancellationTokenSource stop = new();
        using Socket server = Bound();
        server.Listen(16);
        Task running = Connector(server, control: false).RunAsync(stop.Token);
        for (int i = 0; i < 3; i++)
        {
            using Socket peer = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
            await BoundedWait.UntilAsync(() => _handler.Events.Split("up").Length == i + 2, "the link");
        }

        await stop.CancelAsync();
        await BoundedWait.WithinAsync(running, "the connector");
    }

    [Fact]
    public async Task A_peer_that_resets_at_once_does_not_end_the_attempts()
    {
        const int resets = 300;
        using CancellationTokenSource stop = new();
        using Socket server = Bound();
        server.Listen(16);
        Task running = Connector(server, TimeSpan.FromMilliseconds(0.1), TimeSpan.FromMilliseconds(0.2)).RunAsync(stop.Token);
        for (int i = 0; i < resets; i++)
        {
            using Socket peer = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
            peer.LingerState = new LingerOption(true, 0);
        }

        Assert.False(running.IsCompleted, running.Exception?.ToString());
        await stop.CancelAsync();
        await BoundedWait.WithinAsync(running, "the connector");
    }

    [Fact]
    public async Task Stopping_while_a_welcome_is_awaited_ends_it()
    {
        using CancellationTokenSource stop = new();
        using Socket server = Bound();
        server.Listen(16);
        Task running = Connector(server).RunAsync(stop.Token);
        using Socket peer = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
        await Task.Delay(20);
        await stop.CancelAsync();
        await BoundedWait.WithinAsync(running, "the connector");
        Assert.Equal("", _handler.Events);
    }

    [Fact]
    public async Task A_link_that_is_not_needed_is_connected_again_when_it_is()
    {
        using CancellationTokenSource stop = new();
        using Socket server = Bound();
        server.Listen(16);
        TaskCompletionSource needed = new();
        int ended = 0;
        _handler.WhenUp = link => link.Connection!.Close("not needed");
        Task running = Connector(server, control: false, untilNeeded: () => ended == 1 ? needed.Task : null, onEnded: () => ended++)
            .RunAsync(stop.Token);
        using (await server.AcceptAsync().WaitAsync(BoundedWait.Limit))
        {
            await BoundedWait.UntilAsync(() => ended == 1, "the end of the link");
            await BoundedWait.NeverAsync(() => server.Poll(0, SelectMode.SelectRead), "it was connected again");
        }

        // That it was closed is no failure that anybody would want to read of.
        Assert.DoesNotContain(_log.Lines, line => line.StartsWith("No link", StringComparison.Ordinal));
        needed.SetResult();
        using Socket again = await server.AcceptAsync().WaitAsync(BoundedWait.Limit);
        await stop.CancelAsync();
        await BoundedWait.WithinAsync(running, "the connector");
    }

    /// <summary>Bound, but not listening: no other process gets the port, and connecting to it is refused.</summary>
    private static Socket Bound()
    {
        Socket server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return server;
    }

    private LinkConnector Connector(
        Socket server,
        TimeSpan? retryMin = null,
        TimeSpan? retryMax = null,
        bool control = true,
        Func<Task?>? untilNeeded = null,
        Action? onEnded = null)
    {
        IPEndPoint address = (IPEndPoint)server.LocalEndPoint!;
        HostPort target = new("127.0.0.1", address.Port);
        LinkConnectOptions connect = new()
        {
            To = [target],
            RetryMin = retryMin ?? TimeSpan.FromMilliseconds(10),
            RetryMax = retryMax ?? TimeSpan.FromMilliseconds(50),
            Control = control,
        };
        return new LinkConnector(connect, new TargetAddress(target, address), new LinkOptions(), _handler, _metrics, new LinkLog(_log))
        {
            UntilNeeded = untilNeeded ?? (() => null),
            OnEnded = onEnded ?? (() => { }),
        };
    }
}
