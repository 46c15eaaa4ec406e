using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>How far one session on a link has come, as the end that keeps this knows it: whether the other end knows the session, and what it has been told. One byte.</summary>
/// <remarks>
/// One thread at a time changes it. Nothing is queued without its being noted here, so that each end of a session is sent once (section 2 of
/// the link protocol).
/// <code>
/// State        becomes      when
/// unopened     open         the first packet is sent for it, or has come for it (Open)
/// open         half-closed  an empty packet was sent: our direction has ended (TrySendEnd)
/// open,        over         the end of the whole session was sent: reset, where the link has control and the session did not end in
/// half-closed               order, else an empty packet, unless that had been sent (TrySendOver)
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
        Over,
    }

    /// <summary>Whether the other end knows the session, or knew it.</summary>
    public readonly bool IsOpened => _state != State.Unopened;

    /// <summary>Whether our direction has been ended.</summary>
    public readonly bool HasEnded => _state >= State.HalfClosed;

    /// <summary>The session of a packet that has come.</summary>
    public static SessionLife OfPeer() => new() { _state = State.Open };

    /// <summary>A packet is sent for it.</summary>
    /// <returns>Whether that was the first.</returns>
    public bool Open()
    {
        if (_state != State.Unopened) return false;
        _state = State.Open;
        return true;
    }

    /// <summary>Ends our direction, unless that has been done. Sent with the thread's <see cref="FlushBatch"/>.</summary>
    /// <returns>False when there is no room for that now.</returns>
    public bool TrySendEnd(Link link, ulong id)
    {
        if (HasEnded) return true;
        if (!link.TryWrite(id, [])) return false;
        FlushBatch.Add(link);
        _state = State.HalfClosed;
        return true;
    }

    /// <summary>Tells the other end that the session is over, unless it knows. Sent with the thread's <see cref="FlushBatch"/>.</summary>
    /// <param name="link">The session's link; null when that is gone, and nobody is to be told.</param>
    /// <param name="id">The session's id.</param>
    /// <param name="reason">Why it is over.</param>
    /// <returns>False when there is no room for that now.</returns>
    public bool TrySendOver(Link? link, ulong id, CloseReason reason)
    {
        if (link is null || _state is State.Unopened or State.Over || reason is CloseReason.ResetByPeer or CloseReason.LinkLost) return true;
        if (link.HasControl && reason != CloseReason.Ended)
        {
            if (!link.TryWrite(SessionControl.Reset(id, Label.Of(reason)))) return false;
        }
        else if (!HasEnded)
        {
            if (!link.TryWriteUrgent(id, [])) return false;
            FlushBatch.Add(link);
        }

        _state = State.Over;
        return true;
    }
}
