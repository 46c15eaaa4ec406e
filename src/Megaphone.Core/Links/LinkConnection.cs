using System.Diagnostics;
using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One TCP connection of a link, either end: its socket, TLS, receiver, sender, keep-alive, and control packets about the link.</summary>
/// <remarks>
/// <para>An error of one connection ends its link, with one log line, and affects no other. Public members are thread-safe unless they say
/// otherwise.</para>
/// <code>
/// State      becomes   when
/// opening    up        TLS is done and the first packet, or the answer to hello, was accepted (LinkOpening); the link is made
/// opening    ending    TLS or the first packet was not accepted, a timeout, the socket failed, or Close
/// up         ending    the other side ended, the socket failed, the protocol was violated, it stayed silent, or Close
/// ending     closed    the last packets are sent, as far as the other side accepts them; the socket is closed
/// </code>
/// </remarks>
internal sealed class LinkConnection : IPacketSink, IDisposable
{
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    private readonly Socket _socket;
    private readonly LinkOrigin _origin;
    private readonly LinkOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly LinkConnectionLog _log;
    private readonly LinkTls? _tls;
    private readonly PreAuthLimits? _preAuth;
    private readonly LinkOpening _opening;
    private readonly LinkReceiver _receiver;
    private readonly KeepAliveMonitor _keepAlive;
    private readonly ReplyClaim _replies;
    private readonly LinkCounters _counters = new();
    private readonly long _created = Stopwatch.GetTimestamp();
    private readonly Lock _closing = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SecuredSocket? _secured;
    private LinkSender? _sender;
    private volatile Link? _link;
    private volatile bool _isClosed;

    /// <summary>The handler has the link, and it is in the count of links. Receiver only.</summary>
    private bool _isCounted;
    private string? _closeReason;
    private LinkEvent? _warning;
    private ControlMessage? _refusal;
    private long _pings;

    /// <summary>Whether the receiver has replied to a packet of the current batch. Receiver only.</summary>
    private bool _hasReplied;

    /// <summary>Wraps a connected socket, which belongs to the connection from now on.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="origin">Whether it was accepted or connected.</param>
    /// <param name="options">The link's settings.</param>
    /// <param name="handler">Receives the link's packets.</param>
    /// <param name="metrics">The role's counters.</param>
    /// <param name="log">The log of links.</param>
    /// <param name="tls">Does the TLS handshake; null: no TLS.</param>
    /// <param name="preAuth">The listener's limits for links that have not authenticated; null for one that was not accepted.</param>
    /// <param name="peerName">The host that was connected to, for the check of its certificate; null for one that was accepted.</param>
    /// <exception cref="SocketException">The socket is no longer connected.</exception>
    public LinkConnection(
        Socket socket,
        LinkOrigin origin,
        LinkOptions options,
        ILinkHandler handler,
        RoleMetrics metrics,
        LinkLog log,
        LinkTls? tls = null, PreAuthLimits? preAuth = null, string? peerName = null)
    {
        _socket = socket;
        _origin = origin;
        _options = options;
        Handler = handler;
        _metrics = metrics;
        _tls = tls;
        _preAuth = preAuth;
        _opening = new LinkOpening(this, socket, origin, options, metrics, tls, preAuth, peerName);
        _receiver = new LinkReceiver(socket, LinkOpening.FirstPacketLimit(origin, options), _opening);
        _replies = new ReplyClaim(options.RingBytes / 4);
        _keepAlive = new KeepAliveMonitor(
            ping: () => _link!.TryWrite(ControlMessage.Ping(++_pings)),
            close: Close,
            hasUnprocessedInput: () => _replies.IsAwaited || LinkSocket.HasUnread(socket),
            options.Time);
        LinkSocket.Configure(socket, options);
        Peer = LinkSocket.PeerOf(socket);
        _log = new LinkConnectionLog(Peer, log, preAuth?.Log);
        Address = PeerAddress.Of(socket.RemoteEndPoint);
    }

    /// <summary>The address at the other end.</summary>
    public string Peer { get; }

    /// <summary>The address to which its behaviour is attributed, while it has not authenticated.</summary>
    public PeerAddress Address { get; }

    /// <summary>Receives the link's packets.</summary>
    public ILinkHandler Handler { get; }

    /// <summary>The link that it carries; null before that is up, and kept when it is down.</summary>
    public Link? Link => _link;

    /// <summary>The time since it was made.</summary>
    public TimeSpan Age => Stopwatch.GetElapsedTime(_created);

    /// <summary>Whether its end was logged as a warning: the other side violated the protocol, or was refused.</summary>
    public bool HasWarned => _warning is not null;

    /// <summary>Why it ended; empty before.</summary>
    public string CloseReason => _closeReason ?? "";

    /// <summary>Whether it was closed.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Runs it until it has ended. Call once. Never throws.</summary>
    /// <param name="welcomeTimeout">How long to wait for TLS and the answer to <c>hello</c>.</param>
    public async Task RunAsync(TimeSpan welcomeTimeout)
    {
        LinkReceiver.End end;
        try
        {
            _opening.StartTimer(welcomeTimeout);
            (_secured, LinkReceiver.End? failed) = await _opening.SecureAsync().ConfigureAwait(false);
            if (failed is null) await BeginAsync().ConfigureAwait(false);
            end = failed ?? await _receiver.RunAsync(_secured).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // An exception that a packet causes must not reach the thread pool and end the process.
            _log.Unexpected(e);
            end = new LinkReceiver.End("internal error");
        }

        try
        {
            await EndAsync(end).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _log.Unexpected(e);
            Close("internal error");
        }

        _closed.SetResult();
    }

    /// <summary>Sends what is queued, ends our direction, and gives the other side until the deadline to end its own.</summary>
    public async Task DrainAsync(CancellationToken deadline)
    {
        using CancellationTokenRegistration registration = deadline.Register(() => Close("did not drain in time"));
        if (_sender is not { } sender)
        {
            Close("shutting down");
            return;
        }

        sender.Drain();
        await sender.Ended.ConfigureAwait(false);
        End("shutting down");
        await EndSendingAsync().ConfigureAwait(false);

        // The other side ends too, after it has sent what it has queued; one that stays silent has nothing queued.
        while (await Task.WhenAny(_closed.Task, Task.Delay(Linger, CancellationToken.None)).ConfigureAwait(false) != _closed.Task)
        {
            if (_keepAlive.Silence >= Linger) Close("shutting down");
        }
    }

    /// <summary>Closes it at once; the first reason counts.</summary>
    public void Close(string reason)
    {
        End(reason);
        _isClosed = true;
        _socket.Dispose();
        _sender?.Stop();
        _replies.Close();
        _opening.Dispose();
    }

    /// <summary>Closes it if it is not closed yet.</summary>
    public void Dispose()
    {
        Close("closed");
        _keepAlive.Dispose();
    }

    /// <inheritdoc/>
    Outcome IPacketSink.Accept(ulong id, ReadOnlySpan<byte> content)
    {
        if (id == PacketHeader.ControlId) return HandleControl(_link!, content) ? Outcome.Done : Outcome.Closed;
        _replies.ObserveSignals();
        Outcome outcome = Handler.OnPacket(_link!, id, content);
        return outcome == Outcome.WouldBlock && _isClosed ? Outcome.Closed : outcome;
    }

    /// <inheritdoc/>
    void IPacketSink.OnBatchEnd(int packets, int bytes)
    {
        AddReceived(packets, bytes);
        _replies.Release();
        if (_hasReplied) PendingFlushes.Add(_link!);
        _hasReplied = false;
        PendingFlushes.Flush();
    }

    /// <inheritdoc/>
    async Task IPacketSink.WaitForRoomAsync()
    {
        await _replies.WaitAsync().ConfigureAwait(false);
        _keepAlive.OnReceived();
    }

    /// <summary>See <see cref="Link.TryReply"/>. Receiver only.</summary>
    internal bool TryReply(ulong id, ReadOnlySpan<byte> content)
    {
        if (!_replies.TryCommit(_link!, id, content)) return false;
        _hasReplied = true;
        return true;
    }

    /// <summary>The link's ring has room again.</summary>
    internal void OnWritable() => _replies.Signal();

    /// <summary>Counts received packets and bytes, which are a sign of life.</summary>
    internal void AddReceived(int packets, int bytes)
    {
        _keepAlive.OnReceived();
        _counters.AddIn(packets, bytes);
        _metrics.AddIn(packets, bytes);
    }

    /// <summary>Accepts packets up to this length from the next one on.</summary>
    internal void AcceptUpTo(int maxPacketBytes) => _receiver.AcceptUpTo(maxPacketBytes);

    /// <summary>Has the connection's end logged as a warning.</summary>
    internal void WarnAs(LinkEvent what) => _warning = what;

    /// <summary>Records why the connection ends; the first reason counts. Does not close it.</summary>
    internal void End(string reason)
    {
        lock (_closing) _closeReason ??= reason;
    }

    /// <summary>Ends the connection for a violation of the protocol, which is counted and logged once.</summary>
    internal void EndForViolation(string what)
    {
        _warning = LinkEvent.ProtocolError;
        _metrics.AddProtocolError();
        End($"protocol error: {what}");
    }

    /// <summary>Refuses the <c>hello</c>: this is counted and logged once, and the connection ends after the answer.</summary>
    internal void Refuse(string reason, LinkEvent what)
    {
        _refusal = ControlMessage.Refuse(reason);
        if (what == LinkEvent.HelloRefused) _metrics.AddRefused(RefusalReason.Hello);
        _warning = what;
        End($"its hello was refused: {reason}");
    }

    /// <summary>Makes the link, once the two ends have agreed. For the opening.</summary>
    internal void BringUp(in HandshakeResult agreed)
    {
        int peerMaxPacket = agreed.MaxPacket ?? _options.MaxPacketBytes;
        Link link = new(Handler, _options, _metrics, _counters, agreed.Control, peerMaxPacket) { PeerName = agreed.Name };
        _sender = new LinkSender(
            link.Ring, _socket, _secured, $"link {link.Number} send", link.Counters, _metrics, failure => OnSenderEnded(link, failure));
        link.Attach(this, _sender);

        // It is the first packet in the ring: there is always room.
        if (agreed.Control && _origin == LinkOrigin.Accepted)
            link.TryWrite(ControlMessage.Welcome(_options.Name, _options.MaxPacketBytes, _options.KeepAlive));
        _receiver.AcceptUpTo(_options.MaxPacketBytes);
        _receiver.Sink = this;
        _link = link;
        _opening.Dispose();
        _preAuth?.Pending.Remove(this);
        string kind = agreed.Control ? "control" : "plain";
        _log.HasAuthenticated = _options.Secret is not null || _tls is { RequiresCertificates: true };
        _log.Up(agreed.Name, _secured is null ? kind : $"{kind} over {_secured.Version}", peerMaxPacket);
        if (agreed.Control) _keepAlive.Start(agreed.KeepAlive ?? _options.KeepAlive);
        Handler.OnUp(link);

        // Counted last, when it can be used: readiness is derived from the count, and clients follow readiness.
        _metrics.LinkUp();
        _isCounted = true;
    }

    /// <summary>Sends this end's hello, or brings up a plain link, if this end has connected.</summary>
    private async ValueTask BeginAsync()
    {
        if (_origin == LinkOrigin.ConnectedPlain)
        {
            BringUp(new HandshakeResult(HandshakeResult.Kind.Up));
        }
        else if (_origin == LinkOrigin.Connected)
        {
            ControlMessage hello = ControlMessage.Hello(_options.Name, _options.Secret, _options.Framing, _options.MaxPacketBytes);
            await SendUnqueuedAsync(hello).ConfigureAwait(false);
        }
    }

    private bool HandleControl(Link link, ReadOnlySpan<byte> content)
    {
        if (!link.HasControl) return Violated("a control packet was received on a link without hello");
        if (!ControlReader.TryRead(content, out ControlMessage? message, out string? problem)) return Violated(problem);
        if (message.Ignored > 0) _metrics.AddControlIgnored(message.Ignored);
        switch (message.Op)
        {
            case ControlOp.Ping:
                // Without room for the answer there is no need for it: the packets that fill the ring are signs of life themselves.
                link.TryWrite(ControlMessage.Pong(message));
                return true;
            case ControlOp.Pause or ControlOp.Resume or ControlOp.Reset:
                Handler.OnControl(link, message);
                return true;
            case ControlOp.Drain:
                if (link.TrySetDraining()) _log.DrainAsked();
                Handler.OnControl(link, message);
                return true;
            case ControlOp.Refuse:
                End(Handshake.DescribeRefusal(message));
                return false;
            case ControlOp.Hello:
                return Violated("a second hello");
            case ControlOp.Pong:
                return true;
            default:
                _metrics.AddControlIgnored(1);
                return true;
        }
    }

    private bool Violated(string what)
    {
        EndForViolation(what);
        return false;
    }

    private void OnSenderEnded(Link link, string? failure)
    {
        link.Ring.Close();
        if (failure is not null) Close($"sending failed: {failure}");
    }

    private async Task EndAsync(LinkReceiver.End end)
    {
        _secured?.EndReceiving();
        if (end.Fault is { } fault) EndForFault(fault);
        else if (end.Reason.Length > 0) End(end.Reason);

        _opening.Dispose();
        _keepAlive.Dispose();

        // Sessions are over now; what they had queued is still sent if the other side only ended its own direction.
        if (_isCounted)
        {
            _metrics.LinkDown();
            Handler.OnDown(_link!);
        }

        if (_refusal is not null)
        {
            await SendUnqueuedAsync(_refusal).ConfigureAwait(false);
            await EndSendingAsync().ConfigureAwait(false);
        }
        else if (end.Orderly && _sender is { } sender)
        {
            sender.Drain();
            await Task.WhenAny(sender.Ended, Task.Delay(_options.KeepAlive)).ConfigureAwait(false);
            await EndSendingAsync().ConfigureAwait(false);
        }

        _link?.End();
        Close("closed");
        _secured?.Dispose();
        _log.Ended(_warning, _link is not null, CloseReason, Age, _counters);
    }

    /// <summary>Ends the connection because of a malformed header; if it looks like TLS, the reason says so and names the setting.</summary>
    private void EndForFault(PacketFault fault)
    {
        if (_opening.Refusal is { } refusal) End(refusal);
        else if (_tls is not null || !fault.LooksLikeTls) EndForViolation(fault.ToString());
        else if (_origin == LinkOrigin.Accepted)
            EndForViolation("the other end uses TLS, and Hub:Tls is not set here: set it, or set Ecm:Link:Tls to false there");
        else EndForViolation("the other end uses TLS: set Ecm:Link:Tls");
    }

    /// <summary>Sends the connection's first packet without a ring and a thread, which exist only once the link is up.</summary>
    private async Task SendUnqueuedAsync(ControlMessage message)
    {
        byte[] packet = message.ToPacket();
        try
        {
            // Nothing was sent before it, so the kernel has room for all of it.
            if (_secured is null) DirectSend.Send(_socket.SafeHandle, packet, [], out _);
            else await _secured.SendAsync(packet, Linger).ConfigureAwait(false);
            _counters.AddOut(1, packet.Length);
            _metrics.AddOut(1, packet.Length);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException or TimeoutException)
        {
            // The other end is gone, or does not read.
        }
    }

    /// <summary>Ends our direction, if the socket is still open. Everything has been sent that will be.</summary>
    private async Task EndSendingAsync()
    {
        // Without a close_notify the other side considers the data truncated, which it is if sending has not ended.
        if (_secured is not null && _sender is null or { Ended.IsCompleted: true })
            await _secured.EndSendingAsync(Linger).ConfigureAwait(false);
        LinkSocket.EndSending(_socket);
    }
}
