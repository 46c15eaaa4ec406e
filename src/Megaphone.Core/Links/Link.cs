using System.Diagnostics;
using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One link, either end: one TCP connection, its receiver and its sender, and the control packets between them.</summary>
/// <remarks>
/// Sending is thread-safe. An error of one link ends that link, with one log line, and touches no other.
/// </remarks>
internal sealed partial class Link : IPacketSink, IDisposable
{
    /// <summary>Content of the packets that are made here; longer ones are only passed on.</summary>
    private const int LargestContent = 64 << 10;
    private const int LingerMilliseconds = 1_000;
    private static readonly TimeSpan HelloTimeout = TimeSpan.FromSeconds(10);
    private static int _lastNumber;

    private readonly Socket _socket;
    private readonly LinkOptions _options;
    private readonly ILinkHandler _handler;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly LinkReceiver _receiver;
    private readonly long _created = Stopwatch.GetTimestamp();
    private readonly Lock _closing = new();
    private LinkSender? _sender;
    private readonly SignsOfLife _signsOfLife;
    private readonly LinkTls? _tls;
    private readonly Admission? _admission;
    private readonly bool _accepted;
    private Timer? _handshakeTimer;
    private Timer? _helloTimer;
    private volatile bool _helloIsDue;
    private SecuredSocket? _secured;
    private string? _refusal;
    private volatile bool _tlsDone;
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ReplyRoom _replyRoom;
    private volatile LinkPhase _phase;
    private volatile bool _closed;
    private LinkLine? _offence;
    private byte[]? _lastWords;
    private string? _closeReason;
    private long _pings;

    /// <summary>The receiver wrote something back since the last batch ended. Receiver only.</summary>
    private bool _wroteBack;

    /// <summary>Wraps a connected socket, which belongs to the link from now on.</summary>
    /// <param name="socket">Connected.</param>
    /// <param name="phase"><see cref="LinkPhase.AwaitingFirstPacket"/> for an accepted link,
    /// <see cref="LinkPhase.AwaitingWelcome"/> to say hello, <see cref="LinkPhase.Up"/> for the plain protocol.</param>
    /// <param name="options">What it is like.</param>
    /// <param name="handler">What is done with its packets.</param>
    /// <param name="metrics">Where everything is counted.</param>
    /// <param name="log">Where it is told.</param>
    /// <param name="tls">How it speaks TLS; null: it is plain.</param>
    /// <param name="admission">What it shares with others that have not authenticated; null for a link that was not accepted.</param>
    public Link(
        Socket socket,
        LinkPhase phase,
        LinkOptions options,
        ILinkHandler handler,
        RoleMetrics metrics,
        LinkLog log,
        LinkTls? tls = null,
        Admission? admission = null)
    {
        _socket = socket;
        _tls = tls;
        _admission = admission;
        _phase = phase;
        _accepted = phase == LinkPhase.AwaitingFirstPacket;
        _options = options;
        _handler = handler;
        _metrics = metrics;
        _log = log;
        _replyRoom = new ReplyRoom(options.RingBytes / 4);
        _signsOfLife = new SignsOfLife(
            ask: () => TryWrite(ControlMessage.Ping(++_pings)),
            dead: Close,
            silenceIsOurs: () => _replyRoom.IsAwaited || LinkSocket.HasUnread(socket));
        _receiver = new LinkReceiver(socket, FirstLimit(phase, options), this);
        LinkSocket.Configure(socket, options);
        Peer = LinkSocket.PeerOf(socket);
        Address = PeerAddress.Of(socket.RemoteEndPoint);
    }

    /// <summary>A number of its own within this process, never 0.</summary>
    public int Number { get; } = Interlocked.Increment(ref _lastNumber);

    /// <summary>The address at the other end.</summary>
    public string Peer { get; }

    /// <summary>Whom it is put down to, while it has not authenticated.</summary>
    public PeerAddress Address { get; }

    /// <summary>What is done with its packets.</summary>
    public ILinkHandler Handler => _handler;

    /// <summary>How far it has come.</summary>
    public LinkPhase Phase => _phase;

    /// <summary>Whether both ends said hello, so that control packets may be sent.</summary>
    public bool HasControl { get; private set; }

    /// <summary>The other side asked for no new sessions here.</summary>
    public bool Draining { get; private set; }

    /// <summary>The longest content that a packet made here may have, in bytes.</summary>
    public int MaxContent { get; private set; } = LargestContent;

    /// <summary>The longest content that the other side takes, in bytes, as far as it has said so.</summary>
    public int PeerMaxContent { get; private set; }

    /// <summary>How long it has been there.</summary>
    public TimeSpan Age => Stopwatch.GetElapsedTime(_created);

    /// <summary>Whether it ever was up.</summary>
    public bool WasUp { get; private set; }

    /// <summary>Whether its end was told as a warning of its own: the other side broke the protocol.</summary>
    public bool IsBroken => _offence is not null;

    /// <summary>Why it is over, once it is.</summary>
    public string CloseReason => _closeReason ?? "";

    /// <summary>Runs the link until it is over. Never throws.</summary>
    /// <param name="welcomeTimeout">How long to wait for TLS and the answer to <c>hello</c>.</param>
    public async Task RunAsync(TimeSpan welcomeTimeout)
    {
        ReceiveEnd end;
        try
        {
            StartHandshakeTimer(welcomeTimeout);
            ReceiveEnd? failed = _tls is null ? null : await SecureAsync(_tls).ConfigureAwait(false);
            if (failed is null) Begin();
            end = failed ?? await _receiver.RunAsync(_secured).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Nothing that a packet causes may reach the thread pool and end the process.
            if (MayLog(LinkLine.OwnError)) _log.Unexpected(Peer, e);
            end = new ReceiveEnd("an error of our own");
        }

        await EndAsync(end).ConfigureAwait(false);
        _over.SetResult();
    }

    /// <summary>Acquires room for one packet. Thread-safe.</summary>
    /// <returns>False when there is none now; <see cref="ILinkHandler.RoomAgain"/> will be called.</returns>
    public bool TryAcquire(int contentBytes) => _sender!.TryAcquire(contentBytes);

    /// <summary>Gives back room for one packet, or what a shorter packet left of it. Thread-safe.</summary>
    public void Return(int acquired, int? used = null) => _sender!.Return(acquired, used);

    /// <summary>Queues a packet in room that was acquired, to be sent at the next <see cref="Flush"/>. Thread-safe.</summary>
    public void Write(ulong id, ReadOnlySpan<byte> content) => _sender!.Write(id, content);

    /// <summary>Queues a packet if there is room, to be sent at the next <see cref="Flush"/>. Thread-safe.</summary>
    public bool TryWrite(ulong id, ReadOnlySpan<byte> content) => _sender!.TryWrite(id, content);

    /// <summary>
    /// Queues a packet as <see cref="TryWrite(ulong, ReadOnlySpan{byte})"/> does, but acquires room for many at a time: for
    /// what a received packet causes on the same link. Only for the link's receiver, within <see cref="ILinkHandler.TryTake"/>; it
    /// is sent with the batch that is being received, without a <see cref="Flush"/> of the caller's.
    /// </summary>
    public bool TryWriteBack(ulong id, ReadOnlySpan<byte> content)
    {
        if (!_replyRoom.TryAcquire(_sender!, PacketHeader.Size + content.Length)) return false;
        _sender!.Write(id, content);
        _wroteBack = true;
        return true;
    }

    /// <summary>Queues and flushes a control packet if the link has control. Thread-safe.</summary>
    /// <returns>False when there is no room for it now; <see cref="ILinkHandler.RoomAgain"/> will be called.</returns>
    public bool TryWrite(ControlMessage message) => TryWriteControl(message.ToUtf8());

    /// <inheritdoc cref="TryWrite(ControlMessage)"/>
    public bool TryWrite(SessionControl message)
    {
        Span<byte> content = stackalloc byte[SessionControl.MaxBytes];
        return TryWriteControl(content[..message.Format(content)]);
    }

    /// <summary>Queues a small packet that may use the room that is kept for such, to be sent at the next <see cref="Flush"/>.</summary>
    public bool TryWriteUrgent(ulong id, ReadOnlySpan<byte> content) => _sender!.TryWriteUrgent(id, content);

    /// <summary>Has everything sent that was queued. Thread-safe.</summary>
    public void Flush() => _sender!.Flush();

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
        while (await Task.WhenAny(_over.Task, Task.Delay(LingerMilliseconds, CancellationToken.None)).ConfigureAwait(false) != _over.Task)
        {
            if (_signsOfLife.Silence >= LingerMilliseconds) Close("asked to stop");
        }
    }

    /// <summary>Closes the link at once. Thread-safe; the first reason counts.</summary>
    public void Close(string reason)
    {
        End(reason);
        _closed = true;
        _socket.Dispose();
        _sender?.Stop();
        _replyRoom.Close();
    }

    /// <summary>Closes the link if it is not closed yet.</summary>
    public void Dispose()
    {
        Close("closed");
        _handshakeTimer?.Dispose();
        _helloTimer?.Dispose();
        _signsOfLife.Dispose();
    }

    /// <inheritdoc/>
    PacketVerdict IPacketSink.Take(ulong id, ReadOnlySpan<byte> content)
    {
        if (_phase != LinkPhase.Up)
        {
            if (HoldBack(id) is { } verdict) return verdict;
            if (!TakeFirst(id, content)) return PacketVerdict.Close;
            if (id == PacketHeader.ControlId) return PacketVerdict.Taken;
        }

        if (id == PacketHeader.ControlId) return TakeControl(content) ? PacketVerdict.Taken : PacketVerdict.Close;
        _replyRoom.Remember();
        if (_handler.TryTake(this, id, content)) return PacketVerdict.Taken;
        return _closed ? PacketVerdict.Close : PacketVerdict.NoRoom;
    }

    /// <inheritdoc/>
    void IPacketSink.BatchEnded(int packets, int bytes)
    {
        _signsOfLife.Heard();
        _metrics.AddIn(packets, bytes);
        if (_sender is { } sender) _replyRoom.Return(sender);
        if (_wroteBack) FlushBatch.Add(this);
        _wroteBack = false;
        if (_phase == LinkPhase.Up) _handler.BatchEnded(this);
    }

    /// <inheritdoc/>
    async Task IPacketSink.WhenRoomAsync()
    {
        await _replyRoom.WaitAsync().ConfigureAwait(false);
        _signsOfLife.Heard();
    }

    private bool TakeControl(ReadOnlySpan<byte> content)
    {
        if (!HasControl) return Breach("a control packet came on a link without hello");
        if (!ControlReader.TryRead(content, out ControlMessage? message, out string? problem)) return Breach(problem);
        if (message.Ignored > 0) _metrics.AddControlIgnored(message.Ignored);
        switch (message.Op)
        {
            case ControlOp.Ping:
                // Without room for the answer there is no need for it: what fills the ring is a sign of life itself.
                TryWrite(ControlMessage.Pong(message));
                return true;
            case ControlOp.Pause or ControlOp.Resume or ControlOp.Reset:
                _handler.Control(this, message);
                return true;
            case ControlOp.Drain:
                if (!Draining && MayLog(LinkLine.Draining)) _log.DrainAsked(Peer);
                Draining = true;
                _handler.Control(this, message);
                return true;
            case ControlOp.Refuse:
                return End(Handshake.RefusedBecause(message));
            case ControlOp.Hello:
                return Breach("a second hello");
            case ControlOp.Pong:
                return true;
            default:
                _metrics.AddControlIgnored(1);
                return true;
        }
    }

    private void StartSender() =>
        _sender ??= new LinkSender(
            _socket, _options.RingBytes, $"link {Number} send", _metrics, RoomAgain, failure => Close($"sending failed: {failure}"), _secured);

    private void RoomAgain()
    {
        _replyRoom.Signal();
        if (_phase == LinkPhase.Up) _handler.RoomAgain(this);
    }

    /// <summary>Ends our direction, if the socket is still open. Everything has been sent that will be.</summary>
    private async Task EndSendingAsync()
    {
        // Without a close_notify the other side takes what it has got for truncated, which it is when sending has not ended.
        if (_secured is not null && _sender is null or { Ended.IsCompleted: true })
            await _secured.EndSendingAsync(TimeSpan.FromMilliseconds(LingerMilliseconds)).ConfigureAwait(false);
        LinkSocket.EndSending(_socket);
    }

    private bool TryWriteControl(ReadOnlySpan<byte> content)
    {
        if (!HasControl || _phase == LinkPhase.Down) return true;
        if (!_sender!.TryWriteUrgent(PacketHeader.ControlId, content)) return false;
        _sender.Flush();
        return true;
    }

    private void SendControl(ControlMessage message)
    {
        // The first packet of a ring: there is always room.
        _sender!.TryWriteUrgent(PacketHeader.ControlId, message.ToUtf8());
        _sender.Flush();
    }

    /// <summary>The other side broke the protocol: counted, told once, and the link ends.</summary>
    private bool Breach(string what)
    {
        _offence = LinkLine.ProtocolError;
        _metrics.AddProtocolError();
        return End($"protocol error: {what}");
    }

    private bool End(string reason)
    {
        lock (_closing) _closeReason ??= reason;
        return false;
    }

    private async Task EndAsync(ReceiveEnd end)
    {
        _secured?.EndReceiving();
        if (end.Fault is { } fault) EndAtFault(fault);
        else if (end.Reason.Length > 0) End(end.Reason);

        _handshakeTimer?.Dispose();
        _helloTimer?.Dispose();
        _signsOfLife.Dispose();

        // Sessions are over now; what they had queued still goes to a side that only ended its own direction.
        if (WasUp)
        {
            _metrics.LinkDown();
            _handler.Down(this);
        }

        if (_lastWords is { } words)
        {
            await SayLastWordsAsync(words).ConfigureAwait(false);
            await EndSendingAsync().ConfigureAwait(false);
        }
        else if (end.Orderly && _sender is { } sender)
        {
            sender.Drain();
            await Task.WhenAny(sender.Ended, Task.Delay(_options.KeepAlive)).ConfigureAwait(false);
            await EndSendingAsync().ConfigureAwait(false);
        }

        _phase = LinkPhase.Down;
        Close("closed");
        _secured?.Dispose();
        Tell();
    }

    /// <summary>What came is no packet; where it is something else that is known, the operator is told what.</summary>
    private void EndAtFault(PacketFault fault)
    {
        if (_refusal is not null) End(_refusal);
        else if (_tls is not null || !fault.LooksLikeTls) Breach(fault.ToString());
        else if (_accepted) Breach("it speaks TLS, and links are taken in the clear here: set Hub:Tls, or Ecm:Link:Tls null there");
        else Breach("it speaks TLS: set Ecm:Link:Tls");
    }

    private void Tell()
    {
        double seconds = Age.TotalSeconds;
        if (!MayLog(_offence ?? (WasUp ? LinkLine.Down : LinkLine.Unused))) return;
        if (_offence is not null) _log.Broken(Peer, CloseReason, seconds, _receiver.Packets, _receiver.Bytes);
        else if (!WasUp) _log.Unused(Peer, CloseReason);
        else _log.Down(Peer, CloseReason, seconds, _receiver.Packets, _receiver.Bytes, _sender?.Packets ?? 0, _sender?.Bytes ?? 0);
    }

    /// <summary>
    /// Whether a line is logged, and not only counted. What is said about links that have authenticated, and those that were connected
    /// here, is told each time: not everybody can have them come and go.
    /// </summary>
    private bool MayLog(LinkLine line) => _admission is null || HasAuthenticated || _admission.Lines.TryPass(line);

    private bool HasAuthenticated => WasUp && (_options.Secret is not null || _tls is { WantsCertificates: true });
}
