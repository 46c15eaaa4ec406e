using System.Diagnostics;
using Megaphone.Handover;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One link, either end, as its sessions use it: its number, its ring and its counters.</summary>
/// <remarks>
/// <para>It is made when the two ends have agreed that it is up. It holds nothing that belongs to a socket: if the two ends have agreed on it, it
/// outlives the <see cref="LinkConnection"/> that carries it, and another one takes its place (section 7 of the link protocol). Otherwise
/// it ends with its connection. Thread-safe.</para>
/// <code>
/// State   becomes   when
/// up      cut       its connection has ended, not for good, and can be resumed: its sessions wait, and its ring keeps what is written
/// cut     up        another connection takes it up (TryTakeUp)
/// cut     over      it did not come back in time, or was given up (Lose)
/// up      over      its connection has ended for good (End)
/// </code>
/// </remarks>
internal sealed class Link
{
    /// <summary>The longest content of packets that are made here, in bytes; longer ones are only passed on.</summary>
    private const int LargestContent = 64 << 10;

    /// <summary>Room that only control packets may use, so that a full ring can still be paused, resumed and pinged through.</summary>
    private const int ControlReserve = 64 << 10;

    private static readonly TimeSpan AnnouncementStep = TimeSpan.FromMilliseconds(5);

    private static int _lastNumber;

    private readonly ILinkHandler _handler;
    private readonly RoleMetrics _metrics;
    private readonly Lock _changing = new();
    private readonly TimeProvider _time;
    private readonly ResumeTerms? _terms;
    private long _began;
    private volatile LinkConnection? _connection;
    private volatile LinkSender? _sender;
    private volatile bool _draining;
    private volatile bool _over;
    private volatile State _state;
    private ITimer? _timer;
    private long _cutAt;
    private LinkConnectionLog? _log;

    /// <summary>Makes the link; nothing may be sent before it is attached.</summary>
    /// <param name="handler">Receives its packets.</param>
    /// <param name="options">Its settings.</param>
    /// <param name="metrics">The counters of its role.</param>
    /// <param name="counters">The counters of the link.</param>
    /// <param name="hasControl">Whether both ends sent hello.</param>
    /// <param name="peerMaxPacket">The longest packet that the other side accepts, in bytes.</param>
    /// <param name="terms">How it can be resumed; null: it cannot.</param>
    public Link(
        ILinkHandler handler,
        LinkOptions options,
        RoleMetrics metrics,
        LinkCounters counters,
        bool hasControl,
        int peerMaxPacket,
        ResumeTerms? terms = null)
    {
        _time = options.Time;
        _terms = terms;
        _began = _time.GetTimestamp();
        if (terms is not null) Acknowledger = new Acknowledger(this, terms.PeerWindow, _time);
        _handler = handler;
        _metrics = metrics;
        Counters = counters;
        HasControl = hasControl;
        PeerMaxContent = peerMaxPacket - PacketHeader.Size;

        // A claim that the ring can never grant would wait for ever.
        MaxContent = Math.Clamp(PeerMaxContent, 1, Math.Min(LargestContent, options.RingBytes / 4));
        Ring = new SendRing(
            options.RingBytes, ReserveOf(options), OnWritable, lost => metrics.AddDropped(DropReason.LinkLost, lost), keepsSent: terms is not null);
        if (terms is not null) metrics.TrackUnacknowledged(this, () => Ring.Unacknowledged);
    }

    private enum State
    {
        Up,
        Cut,
        Over,
    }

    /// <summary>The most that a claim may take of a link's ring, headers included: half of what is not kept for control packets.</summary>
    public static int MaxClaimBytes(LinkOptions options) => (options.RingBytes - ReserveOf(options)) / 2;

    /// <summary>Unique within this process, never 0.</summary>
    public int Number { get; private init; } = Interlocked.Increment(ref _lastNumber);

    /// <summary>The highest number that a link has had: none that is made later has a lower one, in the process's next image either.</summary>
    public static int LastNumber
    {
        get => Volatile.Read(ref _lastNumber);
        set => Volatile.Write(ref _lastNumber, value);
    }

    /// <summary>What the other side calls itself in its <c>hello</c> or <c>welcome</c>, fit for a log; null: it has no name.</summary>
    public string? PeerName { get; init; }

    /// <summary>Whether the other side says which clients have logged in (section 8 of the link protocol).</summary>
    public bool TellsLogins { get; set; }

    /// <summary>The length of content that goes on in its session's next packet, where packets are pieces (section 9); 0: nobody says so.</summary>
    public int UnfinishedLength { get; set; }

    /// <summary>Receives its packets.</summary>
    public ILinkHandler Handler => _handler;

    /// <summary>The connection that carries it, or did so last; null where that was the process's last image.</summary>
    public LinkConnection? Connection => _connection;

    /// <summary>How it can be resumed; null: it ends with its connection.</summary>
    public ResumeTerms? Terms => _terms;

    /// <summary>Counts and acknowledges what is received; null for a link that cannot be resumed.</summary>
    public Acknowledger? Acknowledger { get; }

    /// <summary>Whether it waits for another connection.</summary>
    public bool IsCut => _state == State.Cut;

    /// <summary>Whether its sessions are over.</summary>
    public bool IsOver => _state == State.Over;

    /// <summary>The time since it was made.</summary>
    public TimeSpan Age => _time.GetElapsedTime(_began);

    /// <summary>The time since its last connection ended, while it is cut.</summary>
    public TimeSpan CutFor => _time.GetElapsedTime(Volatile.Read(ref _cutAt));

    /// <summary>Called once, when its sessions are over. Set before anything can end it.</summary>
    public Action<Link>? WhenOver { get; set; }

    /// <summary>The packets to be sent. Other rooms claim and commit through the link.</summary>
    public SendRing Ring { get; }

    /// <summary>The packets and bytes that it carried.</summary>
    public LinkCounters Counters { get; }

    /// <summary>Whether both ends sent hello, so that control packets may be sent.</summary>
    public bool HasControl { get; }

    /// <summary>The longest content that a packet made here may have, in bytes.</summary>
    public int MaxContent { get; }

    /// <summary>The longest content that the other side accepts, in bytes.</summary>
    public int PeerMaxContent { get; }

    /// <summary>Whether the other side asked for no new sessions on it.</summary>
    public bool Draining => _draining;

    /// <summary>Attaches the connection that carries it, before the other end can come back for it on another.</summary>
    public void Attach(LinkConnection connection, LinkConnectionLog log) => (_connection, _log) = (connection, log);

    /// <summary>Attaches that connection's sender, once its first packet is sent.</summary>
    public void Attach(LinkSender sender) => _sender = sender;

    /// <summary>Claims room for packets.</summary>
    /// <param name="contentBytes">Bytes of content in all; at most <see cref="MaxContent"/> for a single packet.</param>
    /// <param name="claim">The room; the caller releases it.</param>
    /// <param name="packets">How many there may be.</param>
    /// <returns>False when there is none now; <see cref="ILinkHandler.OnWritable"/> will be called.</returns>
    public bool TryClaim(int contentBytes, out RingClaim claim, int packets = 1) =>
        Ring.TryClaim(contentBytes, out claim, packets) || RejectWriter();

    /// <summary>Queues a packet if there is room, to be sent at the next <see cref="Flush"/>. Its content is copied.</summary>
    public bool TryWrite(ulong id, ReadOnlySpan<byte> content)
    {
        if (!TryClaim(content.Length, out RingClaim claim)) return false;
        claim.Commit(id, content);
        return true;
    }

    /// <summary>
    /// Queues a reply to a received packet as <see cref="TryWrite(ulong, ReadOnlySpan{byte})"/> does, but claims room for many at a time.
    /// Only for the link's receiver, within <see cref="ILinkHandler.OnPacket"/>; it is sent when the batch that is being received ends,
    /// without a <see cref="Flush"/> by the caller.
    /// </summary>
    public bool TryReply(ulong id, ReadOnlySpan<byte> content) => _connection!.TryReply(id, content);

    /// <summary>Queues a small packet that must get through a full ring: it may use the ring's reserve.</summary>
    public bool TryWriteUrgent(ulong id, ReadOnlySpan<byte> content)
    {
        if (!Ring.TryClaimReserve(content.Length, out RingClaim claim)) return RejectWriter();
        claim.Commit(id, content);
        return true;
    }

    /// <summary>Queues an acknowledgement, for which the last of the reserve is kept. The caller flushes.</summary>
    /// <returns>False when there is no room for it now.</returns>
    public bool TryWriteAck(long received)
    {
        byte[] content = ControlMessage.Ack(received).ToUtf8();
        if (!Ring.TryClaimReserve(content.Length, out RingClaim claim, isAck: true)) return RejectWriter();
        claim.Commit(PacketHeader.ControlId, content);
        return true;
    }

    /// <summary>The other end has acknowledged the first bytes of our direction.</summary>
    /// <returns>False when that cannot be true.</returns>
    public bool TryAcknowledge(long received)
    {
        if (!Ring.TryAcknowledge(received)) return false;

        // What the room has caused others to write may have found the ring locked.
        Flush();
        return true;
    }

    /// <summary>Queues and flushes a control packet if the link has control.</summary>
    /// <returns>False when there is no room for it now; <see cref="ILinkHandler.OnWritable"/> will be called.</returns>
    public bool TryWrite(ControlMessage message) => TryWriteControl(message.ToUtf8());

    /// <inheritdoc cref="TryWrite(ControlMessage)"/>
    public bool TryWrite(SessionControl message)
    {
        Span<byte> content = stackalloc byte[SessionControl.MaxBytes];
        return TryWriteControl(content[..message.Format(content)]);
    }

    /// <summary>Asks the other side to pause a session whose socket is slow, or to resume it.</summary>
    /// <returns>False when there is no room for that now; true also when the link has no control, and cannot ask.</returns>
    public bool TrySetPaused(ulong id, bool paused)
    {
        if (!HasControl) return true;
        if (!TryWrite(paused ? SessionControl.Pause(id) : SessionControl.Resume(id))) return false;
        if (paused) _metrics.AddPause();
        return true;
    }

    /// <summary>Sends everything that was queued, unless the link is cut.</summary>
    public void Flush() => _sender?.Flush();

    /// <summary>Records that the other side asked for no new sessions.</summary>
    /// <returns>Whether this is the first time.</returns>
    public bool TrySetDraining()
    {
        bool first = !_draining;
        _draining = true;
        return first;
    }

    /// <summary>Its connection and that one's sender have ended, and it waits for another: for as long as was agreed.</summary>
    /// <returns>False when it cannot be resumed.</returns>
    public bool TryCut()
    {
        lock (_changing)
        {
            if (_terms is null || _state != State.Up) return false;
            Cut(TimeSpan.Zero);
            BeginToWait();
        }

        _metrics.AddLinkCut();
        return true;
    }

    /// <summary>While it is cut, has it wait however long it takes.</summary>
    /// <returns>False when it is not cut.</returns>
    public bool TryHold()
    {
        lock (_changing)
        {
            if (_state == State.Cut) _timer?.Dispose();
            return _state == State.Cut;
        }
    }

    /// <summary>From now on it waits for as long as was agreed again.</summary>
    public void ReleaseHold()
    {
        lock (_changing)
        {
            if (_state == State.Cut) BeginToWait();
        }
    }

    /// <summary>Writes it, which must be held: for the process's next image, which takes it up.</summary>
    public void Save(StateWriter writer)
    {
        new LinkImage(Number, _draining, TellsLogins, PeerMaxContent, PeerName, _terms!, Acknowledger!.Received, Age, CutFor).Save(writer);
        Counters.Save(writer);
        RingImage.Save(Ring, writer);
    }

    /// <summary>Makes the link that <see cref="Save"/> has written. It is cut, and held until <see cref="ReleaseHold"/>.</summary>
    /// <param name="reader">The state.</param>
    /// <param name="handler">Receives its packets.</param>
    /// <param name="options">Its settings, with rings as large as they were.</param>
    /// <param name="metrics">The counters of its role.</param>
    /// <param name="log">What is logged about it while nothing carries it.</param>
    /// <exception cref="StateException">It cannot be.</exception>
    public static Link Restore(StateReader reader, ILinkHandler handler, LinkOptions options, RoleMetrics metrics, LinkConnectionLog log)
    {
        LinkImage image = LinkImage.Restore(reader);
        int peerMaxPacket = image.PeerMaxContent + PacketHeader.Size;
        Link link = new(handler, options, metrics, LinkCounters.Restore(reader), hasControl: true, peerMaxPacket, image.Terms)
        {
            Number = image.Number,
            PeerName = image.PeerName,
            TellsLogins = image.TellsLogins,
            _draining = image.IsDraining,
            _log = log,
        };
        link._began -= (long)(image.Age.TotalSeconds * link._time.TimestampFrequency);
        link.Acknowledger!.Restore(image.Received);
        RingImage.Restore(link.Ring, reader);
        link.Cut(image.CutFor);
        return link;
    }

    /// <summary>Goes from cut to up, for a new connection, which is attached next.</summary>
    /// <param name="received">What the other end has received of our direction: what comes behind it is sent again.</param>
    /// <param name="isPossible">False: that cannot be true, and the link is still cut.</param>
    /// <returns>False also when it is not cut, but over meanwhile.</returns>
    public bool TryTakeUp(long received, out bool isPossible)
    {
        lock (_changing)
        {
            isPossible = true;
            if (_state != State.Cut || !(isPossible = Ring.TryResend(received))) return false;
            _timer?.Dispose();

            // Whoever still drains says so once more.
            _draining = false;
            _state = State.Up;
        }

        _metrics.RemoveLinkCut(CutFor, resumed: true);
        return true;
    }

    /// <summary>Ends it while it is cut: its sessions are over. Does nothing otherwise.</summary>
    /// <returns>Whether it was cut.</returns>
    public bool Lose(string reason)
    {
        if (!TryGoOver(State.Cut)) return false;
        _metrics.RemoveLinkCut(CutFor, resumed: false);
        _log!.Lost(this, reason);
        CloseRing();
        return true;
    }

    /// <summary>Ends it with its connection; a handler that knows of it is told. What is queued may be sent until <see cref="CloseRing"/>.</summary>
    public void End(bool isKnown = true) => TryGoOver(State.Up, isKnown);

    /// <summary>Tells the other end that the link ends for good, behind what is queued, and waits until it has received that.</summary>
    /// <param name="reason">For its log.</param>
    /// <param name="atMost">The longest wait.</param>
    public async Task AnnounceEndAsync(string reason, TimeSpan atMost)
    {
        TryWrite(ControlMessage.Close(reason));
        long end = Ring.End;
        for (long began = Stopwatch.GetTimestamp(); !Ring.IsFreeUpTo(end) && Stopwatch.GetElapsedTime(began) < atMost && !_connection!.IsClosed;)
            await Task.Delay(AnnouncementStep, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Drops what is queued, and what is written from now on. Its last sender must have ended.</summary>
    public void CloseRing()
    {
        _over = true;
        Ring.Close();
    }

    private void Cut(TimeSpan since)
    {
        Volatile.Write(ref _cutAt, _time.GetTimestamp() - (long)(since.TotalSeconds * _time.TimestampFrequency));
        (_sender, _state) = (null, State.Cut);
    }

    private void BeginToWait()
    {
        TimeSpan most = _terms!.Timeout, left = most > CutFor ? most - CutFor : TimeSpan.Zero;
        _timer?.Dispose();
        _timer = _time.CreateTimer(_ => Lose($"it did not come back within {most.TotalSeconds:0.###} s"), null, left, Timeout.InfiniteTimeSpan);
    }

    private bool TryGoOver(State from, bool isKnown = true)
    {
        lock (_changing)
        {
            if (_state != from) return false;
            _state = State.Over;
            _timer?.Dispose();
        }

        Acknowledger?.Dispose();
        _metrics.UntrackUnacknowledged(this);
        if (isKnown) _handler.OnDown(this);
        WhenOver?.Invoke(this);
        return true;
    }

    private static int ReserveOf(LinkOptions options) => Math.Min(ControlReserve, options.RingBytes / 4);

    private bool TryWriteControl(ReadOnlySpan<byte> content)
    {
        if (!HasControl || _over) return true;
        if (!TryWriteUrgent(PacketHeader.ControlId, content)) return false;
        Flush();
        return true;
    }

    /// <summary>Wakes the sender, because a full ring must be emptied whether its writers have flushed yet or not.</summary>
    private bool RejectWriter()
    {
        _sender?.Wake();
        return false;
    }

    private void OnWritable()
    {
        _connection?.OnWritable();
        _handler.OnWritable(this);
    }
}
