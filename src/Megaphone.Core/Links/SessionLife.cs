using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>The state of a session at one end of its link: whether the other end knows it, and which ends it has been sent. One byte.</summary>
/// <remarks>
/// One thread at a time changes it. Whatever is queued is recorded here, so that each end of a session is sent once (section 2 of
/// the link protocol).
/// <code>
/// State        becomes      when
/// unopened     open         its first packet is sent, or was received (Open)
/// open         half-closed  an empty packet was sent: our direction has ended (TrySendEnd)
/// open,        closed       the end of the session was sent: a reset, if the link has control and the session did not end in
/// half-closed               order, else an empty packet, unless that had been sent (TrySendClose)
/// </code>
/// </remarks>
internal struct SessionLife
{
    private State _state;

    private enum State : byte
    {
        Unopened,
        Open,
        HalfClosed,
        Closed,
    }

    /// <summary>Whether the other end knows, or knew, the session.</summary>
    public readonly bool IsOpened => _state != State.Unopened;

    /// <summary>Whether our direction has been ended.</summary>
    public readonly bool HasEnded => _state >= State.HalfClosed;

    /// <summary>Whether it is one of the states. Of one that was handed over nothing else can be told.</summary>
    public readonly bool IsPossible => _state <= State.Closed;

    /// <summary>A session that the peer's first packet has opened.</summary>
    public static SessionLife OpenedByPeer() => new() { _state = State.Open };

    /// <summary>Records that a packet is sent for it.</summary>
    /// <returns>Whether it is the first.</returns>
    public bool Open()
    {
        if (_state != State.Unopened) return false;
        _state = State.Open;
        return true;
    }

    /// <summary>Ends our direction, once. Sent with the thread's <see cref="PendingFlushes"/>.</summary>
    /// <returns>False when there is no room for that now.</returns>
    public bool TrySendEnd(Link link, ulong id)
    {
        if (HasEnded) return true;
        if (!link.TryWrite(id, [])) return false;
        PendingFlushes.Add(link);
        _state = State.HalfClosed;
        return true;
    }

    /// <summary>Tells the other end that the session is over, unless it knows already: by an end, which is sent with the thread's
    /// <see cref="PendingFlushes"/>, or by a reset, which is sent at once.</summary>
    /// <param name="link">The session's link; null when that is down, and nothing can be sent.</param>
    /// <param name="id">The session's id.</param>
    /// <param name="reason">Why it is over.</param>
    /// <returns>False when there is no room for that now.</returns>
    public bool TrySendClose(Link? link, ulong id, CloseReason reason)
    {
        if (link is null || _state is State.Unopened or State.Closed || reason is CloseReason.ResetByPeer or CloseReason.LinkLost) return true;
        if (link.HasControl && reason != CloseReason.Ended)
        {
            if (!link.TryWrite(SessionControl.Reset(id, Label.Of(reason)))) return false;
        }
        else if (!HasEnded)
        {
            if (!link.TryWriteUrgent(id, [])) return false;
            PendingFlushes.Add(link);
        }

        _state = State.Closed;
        return true;
    }
}
