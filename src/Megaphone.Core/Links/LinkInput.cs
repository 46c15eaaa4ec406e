using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>What one connection of a link does with what it receives once the link is up: gives packets to the link's handler, counts and
/// acknowledges them, and holds the claim for replies to them.</summary>
internal sealed class LinkInput(LinkConnection connection, Link link, LinkOptions options, RoleMetrics metrics, LinkConnectionLog log) : IPacketSink
{
    private readonly LinkControl _control = new(connection, link, metrics, log);
    private readonly ReplyClaim _replies = new(options.RingBytes / 4);

    // Of the current batch, for the thread that hands packets over: whether one was replied to, and how much of the stream was taken.
    private bool _hasReplied;
    private int _taken;
    private bool _callsForAck;
    private bool _isClosed;

    /// <summary>Whether nothing is read because a packet waits for room. If the link can be resumed, reading goes on.</summary>
    public bool IsDeaf => link.Terms is null && _replies.IsAwaited;

    /// <inheritdoc/>
    public int Window => link.Terms?.PeerWindow ?? 0;

    /// <inheritdoc/>
    public Outcome Accept(ulong id, ReadOnlySpan<byte> content) => Accept(id, content, wasHeeded: false);

    /// <inheritdoc/>
    public Outcome AcceptKept(ulong id, ReadOnlySpan<byte> content) => Accept(id, content, wasHeeded: true);

    /// <inheritdoc/>
    public Outcome Heed(ReadOnlySpan<byte> content) => _control.Heed(content) ? Outcome.Done : Outcome.Closed;

    /// <inheritdoc/>
    public void OnBatchEnd(int packets, int bytes)
    {
        connection.AddReceived(packets, bytes);
        _replies.Release();
        if (_taken > 0 && link.Acknowledger is { } acknowledger)
        {
            acknowledger.OnTaken(_taken, _callsForAck);
            if (_isClosed) acknowledger.AcknowledgeNow();
            PendingFlushes.Add(link);
        }

        if (_hasReplied) PendingFlushes.Add(link);
        _taken = 0;
        _hasReplied = _callsForAck = _isClosed = false;
        PendingFlushes.Flush();
    }

    /// <inheritdoc/>
    public void OnKept(int bytes) => connection.AddReceived(0, bytes);

    /// <inheritdoc/>
    public async Task WaitForRoomAsync()
    {
        await _replies.WaitAsync().ConfigureAwait(false);

        // While nothing was read, the other end could not show that it is there.
        if (link.Terms is null) connection.KeepAlive.OnReceived();
    }

    /// <inheritdoc/>
    public void OnWindowExceeded() =>
        connection.EndForViolation($"more than its window of {Window} bytes came while a packet waited for room");

    /// <inheritdoc/>
    public void StopWaiting() => _replies.Close();

    /// <summary>See <see cref="Link.TryReply"/>. Within <see cref="ILinkHandler.OnPacket"/> only.</summary>
    public bool TryReply(ulong id, ReadOnlySpan<byte> content)
    {
        if (!_replies.TryCommit(link, id, content)) return false;
        _hasReplied = true;
        return true;
    }

    /// <summary>The link's ring has room again.</summary>
    public void OnWritable() => _replies.Signal();

    private Outcome Accept(ulong id, ReadOnlySpan<byte> content, bool wasHeeded)
    {
        if (id == PacketHeader.ControlId)
        {
            if (!_control.Handle(content, wasHeeded, out ControlOp op)) return Outcome.Closed;
            _callsForAck |= !LinkControl.IsOfLink(op);
            _isClosed |= op == ControlOp.Close;
        }
        else
        {
            _replies.ObserveSignals();
            Outcome outcome = link.Handler.OnPacket(link, id, content);
            if (outcome != Outcome.Done) return outcome == Outcome.WouldBlock && _replies.IsClosed ? Outcome.Closed : outcome;
            _callsForAck = true;
        }

        _taken += PacketHeader.Size + content.Length;
        return Outcome.Done;
    }
}
