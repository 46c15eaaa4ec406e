using Megaphone.Metrics;

namespace Megaphone.Hub;

/// <summary>How a hub's sessions begin and end, whatever their backend: counted, logged, and taken out of their link's table. Thread-safe.</summary>
internal sealed class SessionLifecycle(HubOptions options, RoleMetrics metrics, HubLog log)
{
    /// <summary>The hub's settings.</summary>
    public HubOptions Options { get; } = options;

    /// <summary>Where everything is counted.</summary>
    public RoleMetrics Metrics { get; } = metrics;

    /// <summary>The links that are up, or have sessions that are not over.</summary>
    public HubLinks Links { get; } = new();

    /// <summary>A session was opened.</summary>
    public void CountOpened(HubLink link, ulong id)
    {
        Metrics.AddSessionOpened();
        Metrics.AddConnected();
        log.SessionOpened(id, link.Peer);
    }

    /// <summary>A session was over before it was open.</summary>
    public void CountRefused(HubLink link, ulong id, CloseReason reason)
    {
        log.SessionRefused(id, link.Peer, Label.Of(reason));
        Metrics.AddSessionOpened();
        Metrics.AddSessionClosed(reason);
    }

    /// <summary>Takes a session out of its link's table and counts why. Does nothing the second time.</summary>
    public void End(HubLink link, ulong id, CloseReason reason)
    {
        if (!link.Sessions.End(id)) return;
        Metrics.RemoveConnected();
        Metrics.AddSessionClosed(reason);
        log.SessionOver(id, link.Peer, Label.Of(reason));
        link.LeaveWhenOver();
    }
}
