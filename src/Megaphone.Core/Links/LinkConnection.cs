using System.Diagnostics;
using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One TCP connection of a link, either end: socket, TLS, receiver, sender, keep-alive, and the control packets that are about the link.</summary>
/// <remarks>
/// <para>An error of one connection ends its link, with one log line, and touches no other. What is public is thread-safe, but for what says
/// otherwise.</para>
/// <code>
/// State      becomes   when
/// opening    up        TLS is done and the first packet, or the answer to hello, was accepted (LinkOpening); the link is made
/// opening    ending    TLS or the first packet was not accepted, time was up, the socket failed, or Close
/// up         ending    the other side ended, the socket failed, the protocol was violated, it stayed silent, or Close
/// ending     closed    the last packets are sent, as far as the other side takes them; the socket is closed
/// </code>
/// </remarks>
internal sealed class LinkConnection : IPacketSink, IDisposable
{
    private const int LingerMilliseconds = 1_000;

    private readonly Socket _socket;
    private readonly LinkOrigin _origin;
    private readonly LinkOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly LinkTls? _tls;
    private readonly Admission? _admission;
    private readonly LinkOpening _opening;
    private readonly LinkReceiver _receiver;
    private readonly KeepAliveMonitor _keepAlive;
    private readonly ReplyRoom _replies;
    private readonly LinkCounters _counters = new();
    private readonly long _created = Stopwatch.GetTimestamp();
    private readonly Lock _closing = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SecuredSocket? _secured;
    private LinkSender? _sender;
    private volatile Link? _link;
    private volatile bool _isClosed;
    private string? _closeReason;
    private LinkLine? _warning;
    private ControlMessage? _refusal;
    private long _pings;

    /// <summary>The receiver has replied to something since the last batch ended. Receiver only.</summary>
    private bool _hasReplied;

    /// <summary>Wraps a connected socket, which belongs to the connection from now on.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="origin">How it came about.</param>
    /// <param name="options">What the link is like.</param>
    /// <param name="handler">What is done with its packets.</param>
    /// <param name="metrics">Where everything is counted.</param>
    /// <param name="log">Where it is logged.</param>
    /// <param name="tls">How it speaks TLS; null: it is plain.</param>
    /// <param name="admission">What it shares with others that have not authenticated; null for one that was not accepted.</param>
    /// <exception cref="SocketException">The socket is connected no longer.</exception>
    public LinkConnection(
        Socket socket,
        LinkOrigin origin,
        LinkOptions options,
        ILinkHandler handler,
        RoleMetrics metrics,
        LinkLog log,
        LinkTls? tls = null,
        Admission? admission = null)
    {
        _socket = socket;
        _origin = origin;
        _options = options;
        Handler = handler;
        _metrics = metrics;
        _log = log;
        _tls = tls;
        _admission = admission;
        _opening = new LinkOpening(this, socket, origin, options, metrics, tls, admission);
        _receiver = new LinkReceiver(socket, LinkOpening.FirstPacketLimit(origin, options), _opening);
        _replies = new ReplyRoom(options.RingBytes / 4);
        _keepAlive = new KeepAliveMonitor(
            ping: () => _link!.TryWrite(ControlMessage.Ping(++_pings)),
            close: Close,
            hasUnprocessedInput: () => _replies.IsAwaited || LinkSocket.HasUnread(socket));
        LinkSocket.Configure(socket, options);
        Peer = LinkSocket.PeerOf(socket);
        Address = PeerAddress.Of(socket.RemoteEndPoint);
    }

    /// <summary>The address at the other end.</summary>
    public string Peer { get; }

    /// <summary>The address to which its behaviour is attributed, while it has not authenticated.</summary>
    public PeerAddress Address { get; }

    /// <summary>What is done with its packets.</summary>
    public ILinkHandler Handler { get; }

    /// <summary>The link that it carries; null before that is up, and still there when it is over.</summary>
    public Link? Link => _link;

    /// <summary>How long it has been there.</summary>
    public TimeSpan Age => Stopwatch.GetElapsedTime(_created);

    /// <summary>Whether its end was logged as a warning of its own: the other side broke the protocol, or was refused.</summary>
    public bool HasWarned => _warning is not null;

    /// <summary>Why it is over, once it is.</summary>
    public string CloseReason => _closeReason ?? "";

    /// <summary>Whether it was closed.</summary>
    public bool IsClosed => _isClosed;

    private bool HasAuthenticated => _link is not null && (_options.Secret is not null || _tls is { WantsCertificates: true });

    /// <summary>Runs it until it is over. Once. Never throws.</summary>
    /// <param name="welcomeTimeout">How long to wait for TLS and the answer to <c>hello</c>.</param>
    public async Task RunAsync(TimeSpan welcomeTimeout)
    {
        ReceiveEnd end;
        try
        {
            _opening.StartTimer(welcomeTimeout);
            (_secured, ReceiveEnd? failed) = await _opening.SecureAsync().ConfigureAwait(false);
            if (failed is null) await BeginAsync().ConfigureAwait(false);
            end = failed ?? await _receiver.RunAsync(_secured).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Nothing that a packet causes may reach the thread pool and end the process.
            if (MayLog(LinkLine.OwnError)) _log.Unexpected(Peer, e);
            end = new ReceiveEnd("an error of our own");
        }

        await EndAsync(end).ConfigureAwait(false);
        _closed.SetResult();
    }

    /// <summary>Sends what is queued, ends our direction, and gives the other side until the deadline to end its own.</summary>
    public async Task DrainAsync(CancellationToken deadline)
    {
        using CancellationTokenRegistration registration = deadline.Register(() => Close("did not drain in time"));
        if (_sender is not { } sender)
        {
            Close("asked to stop");
            return;
        }

        sender.Drain();
        await sender.Ended.ConfigureAwait(false);
        End("asked to stop");
        await EndSendingAsync().ConfigureAwait(false);

        // The other side is to end too, after what it has queued; one that just stays silent has nothing queued.
        while (await Task.WhenAny(_closed.Task, Task.Delay(LingerMilliseconds, CancellationToken.None)).ConfigureAwait(false) != _closed.Task)
        {
            if (_keepAlive.Silence >= LingerMilliseconds) Close("asked to stop");
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
    Outcome IPacketSink.Take(ulong id, ReadOnlySpan<byte> content)
    {
        if (id == PacketHeader.ControlId) return TakeControl(_link!, content) ? Outcome.Done : Outcome.Closed;
        _replies.Remember();
        Outcome outcome = Handler.OnPacket(_link!, id, content);
        return outcome == Outcome.WouldBlock && _isClosed ? Outcome.Closed : outcome;
    }

    /// <inheritdoc/>
    void IPacketSink.BatchEnded(int packets, int bytes)
    {
        CountIn(packets, bytes);
        _replies.Release();
        if (_hasReplied) FlushBatch.Add(_link!);
        _hasReplied = false;
        Handler.OnBatchEnded(_link!);
    }

    /// <inheritdoc/>
    async Task IPacketSink.WhenRoomAsync()
    {
        await _replies.WaitAsync().ConfigureAwait(false);
        _keepAlive.Heard();
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

    /// <summary>Counts what was received, which is a sign of life.</summary>
    internal void CountIn(int packets, int bytes)
    {
        _keepAlive.Heard();
        _counters.AddIn(packets, bytes);
        _metrics.AddIn(packets, bytes);
    }

    /// <summary>Accepts packets up to this length from the next one on.</summary>
    internal void AcceptUpTo(int maxPacketBytes) => _receiver.AcceptUpTo(maxPacketBytes);

    /// <summary>The connection's end is to be logged as a warning.</summary>
    internal void WarnAs(LinkLine line) => _warning = line;

    /// <summary>Notes why the connection ends; the first reason counts. It is not closed by this.</summary>
    internal void End(string reason)
    {
        lock (_closing) _closeReason ??= reason;
    }

    /// <summary>The other side violated the protocol: counted, logged once, and the connection ends.</summary>
    internal void EndForViolation(string what)
    {
        _warning = LinkLine.ProtocolError;
        _metrics.AddProtocolError();
        End($"protocol error: {what}");
    }

    /// <summary>Refuses the <c>hello</c>: counted, logged once, and the connection ends behind the answer.</summary>
    internal void Refuse(string reason, LinkLine line)
    {
        _refusal = ControlMessage.Refuse(reason);
        if (line == LinkLine.HelloRefused) _metrics.AddRefused(RefusalReason.Hello);
        _warning = line;
        End($"its hello was refused: {reason}");
    }

    /// <summary>The two ends agree: the link is there. For the opening.</summary>
    internal void BringUp(in HandshakeResult agreed)
    {
        int peerMaxPacket = agreed.MaxPacket ?? _options.MaxPacketBytes;
        Link link = new(Handler, _options, _metrics, _counters, agreed.Control, peerMaxPacket);
        _sender = new LinkSender(link.Ring, _socket, _secured, $"link {link.Number} send", _counters, _metrics, failure => OnSenderEnded(link, failure));
        link.Attach(this, _sender);

        // The first packet in the ring: there is always room.
        if (agreed.Control && _origin == LinkOrigin.Accepted)
            link.TryWrite(ControlMessage.Welcome(_options.Name, _options.MaxPacketBytes, _options.KeepAlive));
        _receiver.AcceptUpTo(_options.MaxPacketBytes);
        _receiver.Sink = this;
        _link = link;
        _opening.Dispose();
        _admission?.Silent.Remove(this);
        string kind = agreed.Control ? "control" : "plain";
        if (MayLog(LinkLine.Up)) _log.Up(Peer, agreed.Name ?? "no name", _secured is null ? kind : $"{kind} over {_secured.Version}", peerMaxPacket);
        if (agreed.Control) _keepAlive.Watch(agreed.KeepAlive ?? _options.KeepAlive);
        Handler.OnUp(link);

        // Counted when it can be used: whoever looks at the count, as readiness does, brings clients next.
        _metrics.LinkUp();
    }

    /// <summary>Begins to speak, where this end is the one to begin.</summary>
    private async ValueTask BeginAsync()
    {
        if (_origin == LinkOrigin.ConnectedPlain)
            BringUp(new HandshakeResult(HandshakeResult.Kind.Up));
        else if (_origin == LinkOrigin.Connected)
            await SendAloneAsync(ControlMessage.Hello(_options.Name, _options.Secret, _options.Framing, _options.MaxPacketBytes)).ConfigureAwait(false);
    }

    private bool TakeControl(Link link, ReadOnlySpan<byte> content)
    {
        if (!link.HasControl) return Violated("a control packet came on a link without hello");
        if (!ControlReader.TryRead(content, out ControlMessage? message, out string? problem)) return Violated(problem);
        if (message.Ignored > 0) _metrics.AddControlIgnored(message.Ignored);
        switch (message.Op)
        {
            case ControlOp.Ping:
                // Without room for the answer there is no need for it: what fills the ring is a sign of life itself.
                link.TryWrite(ControlMessage.Pong(message));
                return true;
            case ControlOp.Pause or ControlOp.Resume or ControlOp.Reset:
                Handler.OnControl(link, message);
                return true;
            case ControlOp.Drain:
                if (link.TrySetDraining() && MayLog(LinkLine.Draining)) _log.DrainAsked(Peer);
                Handler.OnControl(link, message);
                return true;
            case ControlOp.Refuse:
                End(Handshake.RefusedBecause(message));
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

    private async Task EndAsync(ReceiveEnd end)
    {
        _secured?.EndReceiving();
        if (end.Fault is { } fault) EndForFault(fault);
        else if (end.Reason.Length > 0) End(end.Reason);

        _opening.Dispose();
        _keepAlive.Dispose();

        // Sessions are over now; what they had queued still goes to a side that only ended its own direction.
        if (_link is { } link)
        {
            _metrics.LinkDown();
            Handler.OnDown(link);
        }

        if (_refusal is not null)
        {
            await SendAloneAsync(_refusal).ConfigureAwait(false);
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
        LogEnd();
    }

    /// <summary>What came is no packet; where it is something else that is known, the operator is told what.</summary>
    private void EndForFault(PacketFault fault)
    {
        if (_opening.Refusal is { } refusal) End(refusal);
        else if (_tls is not null || !fault.LooksLikeTls) EndForViolation(fault.ToString());
        else if (_origin == LinkOrigin.Accepted) EndForViolation("it speaks TLS, and links are taken in the clear here: set Hub:Tls, or Ecm:Link:Tls null there");
        else EndForViolation("it speaks TLS: set Ecm:Link:Tls");
    }

    /// <summary>Sends the first thing that is ever sent here, without a ring and a thread: the other side may not be worth them.</summary>
    private async Task SendAloneAsync(ControlMessage message)
    {
        byte[] content = message.ToUtf8();
        byte[] packet = new byte[PacketHeader.Size + content.Length];
        PacketHeader.Write(packet, packet.Length, PacketHeader.ControlId);
        content.CopyTo(packet, PacketHeader.Size);
        try
        {
            // Nothing was sent before it, so that the kernel has room for all of it.
            if (_secured is null) DirectSend.Send(_socket.SafeHandle, packet, [], out _);
            else await _secured.SendAsync(packet, TimeSpan.FromMilliseconds(LingerMilliseconds)).ConfigureAwait(false);
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
        // Without a close_notify the other side takes what it has got for truncated, which it is when sending has not ended.
        if (_secured is not null && _sender is null or { Ended.IsCompleted: true })
            await _secured.EndSendingAsync(TimeSpan.FromMilliseconds(LingerMilliseconds)).ConfigureAwait(false);
        LinkSocket.EndSending(_socket);
    }

    private void LogEnd()
    {
        double seconds = Age.TotalSeconds;
        if (!MayLog(_warning ?? (_link is null ? LinkLine.Unused : LinkLine.Down))) return;
        if (_warning is not null) _log.Broken(Peer, CloseReason, seconds, _counters.PacketsIn, _counters.BytesIn);
        else if (_link is null) _log.Unused(Peer, CloseReason);
        else _log.Down(Peer, CloseReason, seconds, _counters.PacketsIn, _counters.BytesIn, _counters.PacketsOut, _counters.BytesOut);
    }

    /// <summary>
    /// Whether a line is logged, and not only counted. What is said about links that have authenticated, and those that were connected
    /// here, is logged each time: not everybody can have them come and go.
    /// </summary>
    private bool MayLog(LinkLine line) => _admission is null || HasAuthenticated || _admission.Lines.TryPass(line);
}
