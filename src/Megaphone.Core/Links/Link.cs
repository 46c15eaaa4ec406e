using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One link, either end, as its sessions use it: its number, its ring and its counters.</summary>
/// <remarks>
/// It is made when the two ends have agreed that it is up, and ends with the <see cref="LinkConnection"/> that carries it; but it holds
/// nothing that belongs to a socket, so that another connection could take its place. Thread-safe.
/// </remarks>
internal sealed class Link
{
    /// <summary>The longest content of packets that are made here, in bytes; longer ones are only passed on.</summary>
    private const int LargestContent = 64 << 10;

    /// <summary>Room that only control packets may use, so that a full ring can still be paused, resumed and pinged through.</summary>
    private const int ControlReserve = 64 << 10;

    private static int _lastNumber;

    private readonly ILinkHandler _handler;
    private readonly RoleMetrics _metrics;
    private LinkConnection? _connection;
    private LinkSender? _sender;
    private volatile bool _draining;
    private volatile bool _over;

    /// <summary>Makes the link; nothing may be sent before it is attached.</summary>
    /// <param name="handler">Receives its packets.</param>
    /// <param name="options">Its settings.</param>
    /// <param name="metrics">The counters of its role.</param>
    /// <param name="counters">The counters of the link.</param>
    /// <param name="hasControl">Whether both ends sent hello.</param>
    /// <param name="peerMaxPacket">The longest packet that the other side accepts, in bytes.</param>
    public Link(ILinkHandler handler, LinkOptions options, RoleMetrics metrics, LinkCounters counters, bool hasControl, int peerMaxPacket)
    {
        _handler = handler;
        _metrics = metrics;
        Counters = counters;
        HasControl = hasControl;
        PeerMaxContent = peerMaxPacket - PacketHeader.Size;

        // A claim that the ring can never grant would wait for ever.
        MaxContent = Math.Clamp(PeerMaxContent, 1, Math.Min(LargestContent, options.RingBytes / 4));
        Ring = new SendRing(
            options.RingBytes,
            ReserveOf(options),
            OnWritable,
            lost => metrics.AddDropped(DropReason.LinkLost, lost));
    }

    /// <summary>The most that a claim may take of a link's ring, headers included: half of what is not kept for control packets.</summary>
    public static int MaxClaimBytes(LinkOptions options) => (options.RingBytes - ReserveOf(options)) / 2;

    /// <summary>Unique within this process, never 0.</summary>
    public int Number { get; } = Interlocked.Increment(ref _lastNumber);

    /// <summary>What the other side calls itself in its <c>hello</c> or <c>welcome</c>, fit for a log; null: it has no name.</summary>
    public string? PeerName { get; init; }

    /// <summary>The connection that carries it.</summary>
    public LinkConnection Connection => _connection!;

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

    /// <summary>Attaches the connection that carries it, and that connection's sender.</summary>
    public void Attach(LinkConnection connection, LinkSender sender)
    {
        _connection = connection;
        _sender = sender;
    }

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
    public bool TryReply(ulong id, ReadOnlySpan<byte> content) => Connection.TryReply(id, content);

    /// <summary>Queues a small packet that must get through a full ring: it may use the ring's reserve.</summary>
    public bool TryWriteUrgent(ulong id, ReadOnlySpan<byte> content)
    {
        if (!Ring.TryClaimReserve(content.Length, out RingClaim claim)) return RejectWriter();
        claim.Commit(id, content);
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

    /// <summary>Sends everything that was queued.</summary>
    public void Flush() => _sender!.Flush();

    /// <summary>Records that the other side asked for no new sessions.</summary>
    /// <returns>Whether this is the first time.</returns>
    public bool TrySetDraining()
    {
        bool first = !_draining;
        _draining = true;
        return first;
    }

    /// <summary>Ends the link: from now on control packets are dropped.</summary>
    public void End() => _over = true;

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
        _sender!.Wake();
        return false;
    }

    private void OnWritable()
    {
        Connection.OnWritable();
        _handler.OnWritable(this);
    }
}
