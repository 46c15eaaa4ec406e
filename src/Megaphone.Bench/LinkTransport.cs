using System.Net;
using System.Net.Sockets;
using Megaphone.Ecm;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Metrics;
using Microsoft.Extensions.Logging.Abstractions;

namespace Megaphone.Bench;

/// <summary>Carries XMPP clients to the server over links, as an ECM does.</summary>
internal sealed class LinkTransport : IXmppTransport
{
    /// <summary>How long links may take to connect, to be welcomed, and to be drained.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan RetryWait = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan RoomWait = TimeSpan.FromMilliseconds(1);

    private readonly LinkBenchOptions _options;
    private readonly XmppClients _clients;
    private readonly RoleMetrics _metrics = new(Role.Ecm);
    private readonly LinkPlayer[] _players;
    private readonly List<Task> _links = [];

    /// <summary>Prepares the links; nothing is connected yet.</summary>
    public LinkTransport(LinkBenchOptions options, XmppClients clients)
    {
        _options = options;
        _clients = clients;
        _players = new LinkPlayer[options.Links];
        for (int i = 0; i < _players.Length; i++) _players[i] = new LinkPlayer(clients, i, options.Links);
    }

    /// <summary>The addresses that clients pretend to come from, one for each.</summary>
    private static SourceAddresses ClientAddresses { get; } = SourceAddresses.Parse("10.0.0.0/8", port: 50_000)!;

    private static NativeAddress ListenerAddress { get; } = new(new IPEndPoint(IPAddress.Loopback, 5222));

    /// <inheritdoc/>
    public void Connect()
    {
        LinkOptions options = new() { Name = $"bench {Environment.ProcessId}", Secret = _options.Secret, Framing = _options.Framing };
        LinkLog log = new(NullLogger<Link>.Instance);
        foreach (LinkPlayer player in _players)
        {
            LinkSlot? slot = _options.Clients.Cut ? null : new LinkSlot(_links.Count);
            LinkConnection connection = Connect(player, options, log, slot);
            Task running = RunAsync(connection, () => Connect(player, options, log, slot), slot);
            _links.Add(running);
            Task.WhenAny(player.WhenUp, running).GetAwaiter().GetResult();
            if (!player.WhenUp.IsCompletedSuccessfully) throw new IOException($"no link to {_options.To}: {connection.CloseReason}");
        }
    }

    /// <inheritdoc/>
    public bool TryOpen(int index, long scheduled)
    {
        LinkPlayer player = PlayerOf(index);
        if (player.Current is not { Draining: false } link)
        {
            _clients.Open(index, scheduled);
            string what = player.Current is null ? "gone" : "draining";
            _clients.Lose(index, $"a session's link was {what} before it was opened");
            return true;
        }

        Span<byte> proxy = stackalloc byte[ProxyHeader.MaxBytes];
        int length = _options.Proxy == ProxyMode.None
            ? 0
            : ProxyHeader.Write(proxy, _options.Proxy, ClientAddresses.Of(index), ListenerAddress, tls: null);
        return player.TryOpen(link, index, scheduled, proxy[..length]);
    }

    /// <inheritdoc/>
    public bool TrySend(int index, ReadOnlySpan<byte> piece) => PlayerOf(index).TrySend(index, piece);

    /// <inheritdoc/>
    public void WaitForRoom(int index) => PlayerOf(index).WaitForRoom(RoomWait);

    /// <inheritdoc/>
    public void Flush()
    {
        foreach (LinkPlayer player in _players) player.Flush();
    }

    /// <inheritdoc/>
    public void Disconnect(bool cut)
    {
        foreach (LinkPlayer player in _players) player.IsClosing = true;
        using CancellationTokenSource deadline = new(Timeout);
        List<Task> drains = [];
        foreach (LinkPlayer player in _players)
        {
            if (player.Current is not { } link) continue;
            if (cut) link.Connection!.Close("cut");
            else drains.Add(link.Connection!.DrainAsync(deadline.Token));
        }

        Task.WaitAll([.. drains, .. _links]);
    }

    /// <inheritdoc/>
    public void AddTo(BenchReport report)
    {
        report.Add("pauses", "pauses asked for by the other side", _players.Sum(player => player.Pauses));
        report.Add("packets_out", "packets sent", _metrics.PacketsOut);
        report.Add("packets_in", "packets received", _metrics.PacketsIn);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (LinkPlayer player in _players) player.Dispose();
    }

    private LinkConnection Connect(LinkPlayer player, LinkOptions options, LinkLog log, LinkSlot? slot)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using CancellationTokenSource timeout = new(Timeout);
            socket.ConnectAsync(_options.To.Host, _options.To.Port, timeout.Token).AsTask().GetAwaiter().GetResult();
            return new LinkConnection(socket, LinkOrigin.Connected, options, player, _metrics, log, slot: slot);
        }
        catch (Exception failure) when (failure is SocketException or OperationCanceledException)
        {
            socket.Dispose();
            string reason = failure is SocketException ? failure.Message : $"no connection within {Timeout.TotalSeconds:0} s";
            throw new IOException($"no link to {_options.To}: {reason}", failure);
        }
    }

    /// <summary>
    /// Runs a link to its end. If it is cut it is taken up, where that is asked for; else a lost one is a result. That it could be taken up is
    /// part of what is measured, except for links that are to be cut, whose sessions shall not wait.
    /// </summary>
    private async Task RunAsync(LinkConnection connection, Func<LinkConnection> connectAgain, LinkSlot? slot)
    {
        await connection.RunAsync(Timeout).ConfigureAwait(false);
        while (_options.Resume && slot?.Cut is not null)
        {
            await Task.Delay(RetryWait).ConfigureAwait(false);
            try
            {
                connection = connectAgain();
            }
            catch (IOException)
            {
                continue;
            }

            await connection.RunAsync(Timeout).ConfigureAwait(false);
        }

        slot?.Cut?.Lose("not taken up again");
    }

    private LinkPlayer PlayerOf(int index) => _players[index % _players.Length];
}
