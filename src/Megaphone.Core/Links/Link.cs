using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One link, either end, as its sessions know it: what it is called, the ring in front of it, what went over it.</summary>
/// <remarks>
/// It comes about when the two ends have agreed that it is up, and ends with the <see cref="LinkConnection"/> that carries it; but it holds nothing
/// that belongs to a socket, so that another connection could go on with it. Thread-safe.
/// </remarks>
internal sealed class Link
{
    /// <summary>Content of the packets that are made here; longer ones are only passed on.</summary>
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
    /// <param name="handler">What is done with its packets.</param>
    /// <param name="options">What it is like.</param>
    /// <param name="metrics">Where its role counts.</param>
    /// <param name="counters">Where what goes over it is counted.</param>
    /// <param name="hasControl">Whether both ends said hello.</param>
    /// <param name="peerMaxPacket">The longest packet that the other side takes, in bytes.</param>
    public Link(ILinkHandler handler, LinkOptions options, RoleMetrics metrics, LinkCounters counters, bool hasControl, int peerMaxPacket)
    {
        _handler = handler;
        _metrics = metrics;
        Counters = counters;
        HasControl = hasControl;
        PeerMaxContent = peerMaxPacket - PacketHeader.Size;

        // What a ring can never give must not be asked of it: nobody would be told of room that never comes.
        MaxContent = Math.Clamp(PeerMaxContent, 1, Math.Min(LargestContent, options.RingBytes / 4));
        Ring = new SendRing(
            options.RingBytes,
            Math.Min(ControlReserve, options.RingBytes / 4),
            OnWritable,
            lost => metrics.AddDropped(DropReason.LinkLost, lost));
    }

    /// <summary>A number of its own within this process, never 0.</summary>
    public int Number { get; } = Interlocked.Increment(ref _lastNumber);

    /// <summary>What carries it.</summary>
    public LinkConnection Connection => _connection!;

    /// <summary>What is to be sent. Other rooms claim and commit through the link.</summary>
    public SendRing Ring { get; }

    /// <summary>What went over it.</summary>
    public LinkCounters Counters { get; }

    /// <summary>Whether both ends said hello, so that control packets may be sent.</summary>
    public bool HasControl { get; }

    /// <summary>The longest content that a packet made here may have, in bytes.</summary>
    public int MaxContent { get; }

    /// <summary>The longest content that the other side takes, in bytes.</summary>
    public int PeerMaxContent { get; }

    /// <summary>The other side asked for no new sessions here.</summary>
    public bool Draining => _draining;

    /// <summary>Gives it the connection that carries it, and what sends over that.</summary>
    public void Attach(LinkConnection connection, LinkSender sender)
    {
        _connection = connection;
        _sender = sender;
    }

    /// <summary>Claims room for packets.</summary>
    /// <param name="contentBytes">What they carry in all; at most <see cref="MaxContent"/> for a single one.</param>
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
    /// Queues a packet as <see cref="TryWrite(ulong, ReadOnlySpan{byte})"/> does, but claims room for many at a time: for
    /// what a received packet causes on the same link. Only for the link's receiver, within <see cref="ILinkHandler.OnPacket"/>; it
    /// is sent with the batch that is being received, without a <see cref="Flush"/> of the caller's.
    /// </summary>
    public bool TryReply(ulong id, ReadOnlySpan<byte> content) => Connection.TryReply(id, content);

    /// <summary>Queues a small packet that must get through a full ring: it may use the room that is kept for such.</summary>
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

    /// <summary>Asks the other side to stop sending on a session whose socket is slow, or to go on.</summary>
    /// <returns>False when there is no room for that now; true too when the link has no control, and nothing can be asked.</returns>
    public bool TrySetPaused(ulong id, bool paused)
    {
        if (!HasControl) return true;
        if (!TryWrite(paused ? SessionControl.Pause(id) : SessionControl.Resume(id))) return false;
        if (paused) _metrics.AddPause();
        return true;
    }

    /// <summary>Has everything sent that was queued.</summary>
    public void Flush() => _sender!.Flush();

    /// <summary>Notes that the other side asked for no new sessions.</summary>
    /// <returns>Whether it had not before.</returns>
    public bool TrySetDraining()
    {
        bool first = !_draining;
        _draining = true;
        return first;
    }

    /// <summary>The link is over: control packets have nobody to go to.</summary>
    public void End() => _over = true;

    private bool TryWriteControl(ReadOnlySpan<byte> content)
    {
        if (!HasControl || _over) return true;
        if (!TryWriteUrgent(PacketHeader.ControlId, content)) return false;
        Flush();
        return true;
    }

    /// <summary>A full ring is to be emptied, whether those who filled it have flushed yet or not.</summary>
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
