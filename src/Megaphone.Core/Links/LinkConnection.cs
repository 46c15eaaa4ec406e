using System.Diagnostics;
using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One TCP connection of a link, either end: its socket, TLS, receiver, sender and keep-alive.</summary>
/// <remarks>
/// <para>An error of one connection ends its link, or cuts it if it can be resumed, with one log line, and affects no other. Public members are
/// thread-safe unless they say otherwise.</para>
/// <code>
/// State      becomes   when
/// opening    up        TLS is done and the first packet, or the answer to hello, was accepted (LinkOpening); the link is made or taken up
/// opening    ending    TLS or the first packet was not accepted, a timeout, the socket failed, or Close
/// up         ending    the other side ended, the socket failed, the protocol was violated, it stayed silent, or Close
/// ending     closed    the last packets are sent, as far as the other side accepts them; the socket is closed
/// </code>
/// </remarks>
internal sealed class LinkConnection : IDisposable
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
    private readonly long _created = Stopwatch.GetTimestamp();
    private readonly Lock _closing = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LinkCounters _counters = new();
    private SecuredSocket? _secured;
    private LinkSender? _sender;
    private volatile Link? _link;
    private volatile LinkInput? _input;
    private volatile bool _isClosed, _isForGood, _isSuspended;

    /// <summary>The handler has the link, and it is in the count of links. Receiver only.</summary>
    private bool _isCounted;
    private string? _closeReason;
    private LinkEvent? _warning;
    private ControlMessage? _refusal;
    private long _pings;

    /// <summary>Wraps a connected socket, which belongs to the connection from now on.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="origin">Whether it was accepted or connected.</param>
    /// <param name="options">The link's settings.</param>
    /// <param name="handler">Receives the packets of a new link.</param>
    /// <param name="metrics">The role's counters.</param>
    /// <param name="log">The log of links.</param>
    /// <param name="tls">Does the TLS handshake; null: no TLS.</param>
    /// <param name="preAuth">The listener's limits for links that have not authenticated; null for one that was not accepted.</param>
    /// <param name="peerName">The host that was connected to, for the check of its certificate; null for one that was accepted.</param>
    /// <param name="slot">What a connecting end says about resuming; null: nothing.</param>
    /// <exception cref="SocketException">The socket is no longer connected.</exception>
    public LinkConnection(
        Socket socket,
        LinkOrigin origin,
        LinkOptions options,
        ILinkHandler handler,
        RoleMetrics metrics,
        LinkLog log,
        LinkTls? tls = null,
        PreAuthLimits? preAuth = null, string? peerName = null, LinkSlot? slot = null)
    {
        _socket = socket;
        _origin = origin;
        _options = options;
        Handler = handler;
        _metrics = metrics;
        _tls = tls;
        _preAuth = preAuth;
        _opening = new LinkOpening(this, socket, origin, options, metrics, tls, preAuth, peerName, slot);
        _receiver = new LinkReceiver(socket, LinkOpening.FirstPacketLimit(origin, options), _opening);
        _keepAlive = new KeepAliveMonitor(
            ping: () => _link!.TryWrite(ControlMessage.Ping(++_pings)),
            close: Close,
            hasUnprocessedInput: () => _input is { IsDeaf: true } || LinkSocket.HasUnread(socket),
            metrics, options.Time);
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
    public ILinkHandler Handler { get; private set; }

    /// <summary>The link that it carries; null before that is up, and kept when it is down.</summary>
    public Link? Link => _link;

    /// <summary>The time since it was made.</summary>
    public TimeSpan Age => Stopwatch.GetElapsedTime(_created);

    /// <summary>Whether its end was logged as a warning: the other side violated the protocol, or was refused.</summary>
    public bool HasWarned => _warning is not null;

    /// <summary>Why it ended; empty before.</summary>
    public string CloseReason => _closeReason ?? "";

    public bool IsClosed => _isClosed;

    /// <summary>How long the network takes to the other end and back, as the kernel estimates it; null once it is closed.</summary>
    public TimeSpan? RoundTrip => LinkSocket.RoundTrip(_socket);

    /// <summary>Whether it carries a link that can be resumed, and what was sent over it has not arrived for more than a second.</summary>
    public bool IsStalled => !_isForGood && _link is { Terms: not null } && LinkSocket.IsStalled(_socket);

    /// <summary>Completes when it has ended, and its link is cut or over.</summary>
    public Task Closed => _closed.Task;

    /// <summary>Runs it until it has ended. Call once. Never throws.</summary>
    /// <param name="welcomeTimeout">How long to wait for TLS and the answer to <c>hello</c>.</param>
    public async Task RunAsync(TimeSpan welcomeTimeout)
    {
        LinkReceiver.End end;
        try
        {
            _opening.StartTimer(welcomeTimeout);
            (_secured, LinkReceiver.End? failed) = await _opening.SecureAsync().ConfigureAwait(false);
            if (failed is null) Begin();
            end = failed ?? await _receiver.RunAsync(_secured).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // An exception that a packet causes must not reach the thread pool and end the process.
            _log.Unexpected(e);
            _isForGood = true;
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

    /// <summary>Ends the link for good: sends what is queued, ends our direction, and waits for the other side's end until the deadline.</summary>
    public async Task DrainAsync(CancellationToken deadline, string reason = "shutting down")
    {
        using CancellationTokenRegistration registration = deadline.Register(() => Close("did not drain in time"));
        _isForGood = true;
        if (_sender is not { } sender)
        {
            Close(reason);
            return;
        }

        if (_link is { Terms: not null } link) await link.AnnounceEndAsync(reason, Linger).ConfigureAwait(false);
        sender.Drain();
        await sender.Ended.ConfigureAwait(false);
        End(reason);
        await EndSendingAsync().ConfigureAwait(false);

        // The other side ends too, after it has sent what it has queued; one that stays silent has nothing queued.
        while (await Task.WhenAny(_closed.Task, Task.Delay(Linger, CancellationToken.None)).ConfigureAwait(false) != _closed.Task)
        {
            if (_keepAlive.Silence >= Linger) Close(reason);
        }
    }

    /// <summary>Closes it at once; the first reason counts.</summary>
    public void Close(string reason)
    {
        End(reason);
        _isClosed = true;
        _socket.Dispose();
        _sender?.Stop();
        _input?.StopWaiting();
        _opening.Dispose();
    }

    /// <summary>Its process is about to stand still: that its link is cut is no news.</summary>
    public void ExpectStandstill() => _isSuspended = true;

    /// <summary>Closes it at once, because its process stands still.</summary>
    public void Suspend()
    {
        ExpectStandstill();
        Close("reloading");
    }

    /// <summary>Closes it at once, and its link is over; the first reason counts.</summary>
    public void CloseForGood(string reason)
    {
        EndForGood(reason);
        Close(reason);
    }

    /// <summary>Closes it if it is not closed yet.</summary>
    public void Dispose()
    {
        Close("closed");
        _keepAlive.Dispose();
    }

    /// <summary>See <see cref="Link.TryReply"/>. Within <see cref="ILinkHandler.OnPacket"/> only.</summary>
    internal bool TryReply(ulong id, ReadOnlySpan<byte> content) => _input!.TryReply(id, content);

    /// <summary>The link's ring has room again.</summary>
    internal void OnWritable() => _input!.OnWritable();

    /// <summary>Watches it.</summary>
    internal KeepAliveMonitor KeepAlive => _keepAlive;

    /// <summary>Counts received packets and bytes; bytes are a sign of life.</summary>
    internal void AddReceived(int packets, int bytes)
    {
        if (bytes > 0) _keepAlive.OnReceived();
        _counters.AddIn(packets, bytes);
        _metrics.AddIn(packets, bytes);
    }

    /// <summary>Accepts the packet that has brought the link up.</summary>
    internal Outcome AcceptFirst(ulong id, ReadOnlySpan<byte> content) => _input!.Accept(id, content);

    /// <summary>Accepts packets up to this length from the next one on.</summary>
    internal void AcceptUpTo(int maxPacketBytes) => _receiver.AcceptUpTo(maxPacketBytes);

    /// <summary>Has the connection's end logged as a warning.</summary>
    internal void WarnAs(LinkEvent what) => _warning = what;

    /// <summary>Records why the connection ends, and that its link ends with it; the first reason counts. Does not close it.</summary>
    internal void EndForGood(string reason)
    {
        _isForGood = true;
        End(reason);
    }

    /// <summary>Logs that links of two processes have one name.</summary>
    internal void LogNameShared(string? name) => _log.NameShared(name);

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
        EndForGood($"protocol error: {what}");
    }

    /// <summary>Refuses the <c>hello</c>: this is counted and logged once, and the connection ends after the answer.</summary>
    internal void Refuse(string reason, LinkEvent what)
    {
        _refusal = ControlMessage.Refuse(reason);
        if (what == LinkEvent.HelloRefused) _metrics.AddRefused(RefusalReason.Hello);
        _warning = what;
        End($"its hello was refused: {reason}");
    }

    /// <summary>Makes the link on which the two ends have agreed. For the opening, which brings it up next.</summary>
    internal Link Make(in HandshakeResult agreed, ResumeTerms? terms)
    {
        int peerMax = agreed.MaxPacket ?? _options.MaxPacketBytes;
        Link link = new(Handler, _options, _metrics, _counters, agreed.Control, peerMax, terms) { PeerName = agreed.Name };
        link.Attach(this, _log);
        return link;
    }

    /// <summary>Brings up a new link, or the one that is taken up. For the opening.</summary>
    internal void BringUp(in HandshakeResult agreed, Link link, bool isResumed)
    {
        TimeSpan cutFor = isResumed ? link.CutFor : default;
        long again = link.Ring.Queued;
        LinkInput input = _input = new LinkInput(this, link, _options, _metrics, _log);
        if (isResumed)
        {
            link.Counters.Add(_counters);
            _counters = link.Counters;
            Handler = link.Handler;
            link.Attach(this, _log);
        }

        link.TellsLogins = agreed.TellsLogins;
        link.UnfinishedLength = agreed.SendsPieces ? _options.MaxPacketBytes - PacketHeader.Size : 0;
        if (agreed.Control && _origin == LinkOrigin.Accepted) SendUnqueued(_opening.Welcome(link, isResumed));
        link.Acknowledger?.OnTold();
        _sender = new LinkSender(link.Ring, _socket, _secured, $"link {link.Number} send", link.Counters, _metrics, CloseAfterSending);
        link.Attach(_sender);

        // What was written after the sender had looked and before it was attached has woken nobody.
        link.Flush();
        _receiver.AcceptUpTo(_options.MaxPacketBytes);
        _receiver.Sink = input;
        _link = link;
        _opening.Dispose();
        _preAuth?.Pending.Remove(this);
        string kind = (agreed.Control ? "control" : "plain") + (_secured is null ? "" : $" over {_secured.Version}");
        _log.HasAuthenticated = _options.Secret is not null || _tls is { RequiresCertificates: true };
        if (isResumed) _log.Resumed(cutFor, kind, again);
        else _log.Up(agreed.Name, kind, link.PeerMaxContent + PacketHeader.Size);
        if (agreed.Control) _keepAlive.Start(agreed.KeepAlive ?? _options.KeepAlive, link.Terms is not null);
        if (isResumed) Handler.OnResumed(link);
        else Handler.OnUp(link);
        _metrics.LinkUp(); // last, when it can be used: readiness is derived from the count, and clients follow readiness
        _isCounted = true;
    }

    /// <summary>Sends this end's hello, or brings up a plain link, if this end has connected.</summary>
    private void Begin()
    {
        if (_origin == LinkOrigin.ConnectedPlain) _opening.BringUpPlain();
        else if (_origin == LinkOrigin.Connected) SendUnqueued(_opening.Hello());
    }

    private void CloseAfterSending(string? failure)
    {
        if (failure is not null) Close($"sending failed: {failure}");
    }

    private async Task EndAsync(LinkReceiver.End end)
    {
        _secured?.EndReceiving();
        if (end.Fault is { } fault) EndForFault(fault);
        else if (end.Reason.Length > 0) End(end.Reason);

        _opening.Dispose();
        _keepAlive.Dispose();

        if (_isCounted) _metrics.LinkDown();
        if (_isCounted && !_isForGood && _link!.Terms is not null)
        {
            await CutAsync(_link).ConfigureAwait(false);
            return;
        }

        // Sessions are over now; what they had queued is still sent if the other side only ended its own direction.
        if (_isCounted) _link!.End();
        if (_refusal is not null)
        {
            SendUnqueued(_refusal);
            await EndSendingAsync().ConfigureAwait(false);
        }
        else if (end.Orderly && _sender is { } sender)
        {
            sender.Drain();
            await Task.WhenAny(sender.Ended, Task.Delay(_options.KeepAlive)).ConfigureAwait(false);
            await EndSendingAsync().ConfigureAwait(false);
        }

        Close("closed");
        if (_sender is not null) await _sender.Ended.ConfigureAwait(false);
        _link?.CloseRing();
        _secured?.Dispose();
        _log.Ended(_warning, _link is not null, CloseReason, _link?.Age ?? Age, _counters);
    }

    /// <summary>Ends the connection, and leaves its link to the next.</summary>
    private async Task CutAsync(Link link)
    {
        Close("closed");
        await _sender!.Ended.ConfigureAwait(false);
        _secured?.Dispose();
        if (!_isSuspended) _log.Cut(link, CloseReason);
        link.TryCut();
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

    /// <summary>Sends the connection's first packet without the ring, whose bytes count from the first one behind it.</summary>
    private void SendUnqueued(ControlMessage message)
    {
        byte[] packet = message.ToPacket();
        try
        {
            // Nothing was sent before it, so the kernel has room for all of it.
            if (_secured is null) DirectSend.Send(_socket.SafeHandle, packet, [], out _);
            else _secured.Send(packet);
            _counters.AddOut(1, packet.Length);
            _metrics.AddOut(1, packet.Length);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            // The other end is gone.
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
