using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Hub;

/// <summary>How a hub's sessions begin and end, whatever their backend. Thread-safe.</summary>
internal sealed class HubSessions(HubOptions options, RoleMetrics metrics, HubLog log)
{
    /// <summary>The hub's settings.</summary>
    public HubOptions Options { get; } = options;

    /// <summary>Where everything is counted.</summary>
    public RoleMetrics Metrics { get; } = metrics;

    /// <summary>A session was opened.</summary>
    public void CountOpened(HubSession session)
    {
        Metrics.AddSessionOpened();
        Metrics.AddConnected();
        log.SessionOpened(session.Id, session.Link.Link.Peer);
    }

    /// <summary>A session was over before it was open.</summary>
    public void CountRefused(HubLink link, ulong id, CloseReason reason)
    {
        log.SessionRefused(id, link.Link.Peer, Label.Of(reason));
        Metrics.AddSessionOpened();
        Metrics.AddSessionClosed(reason);
    }

    /// <summary>Takes a session out of its link's table and counts why. Does nothing the second time.</summary>
    public void Over(HubSession session, CloseReason reason)
    {
        if (!session.Link.Sessions.End(session.Id)) return;
        Metrics.RemoveConnected();
        Metrics.AddSessionClosed(reason);
        log.SessionOver(session.Id, session.Link.Link.Peer, Label.Of(reason));
    }

    /// <summary>Tells the ECM that a session is over, in the way that its link knows.</summary>
    /// <param name="link">The link.</param>
    /// <param name="id">The session's id.</param>
    /// <param name="reason">Why.</param>
    /// <param name="outputEnded">Whether our direction has been ended before.</param>
    /// <returns>False when the link has no room for it now.</returns>
    public static bool TryTellOver(HubLink link, ulong id, CloseReason reason, bool outputEnded)
    {
        if (link.Closing || reason is CloseReason.ResetByPeer or CloseReason.LinkLost) return true;
        if (link.Link.HasControl && reason != CloseReason.Ended) return link.Link.TryWrite(SessionControl.Reset(id, Label.Of(reason)));
        if (outputEnded) return true;
        if (!link.Link.TryWriteUrgent(id, [])) return false;
        FlushBatch.Add(link.Link);
        return true;
    }
}
