using Megaphone.Metrics;

namespace Megaphone.Hub;

/// <summary>Counts and logs the beginning and end of a hub's sessions, whatever their backend, and removes them from their link's table.
/// Thread-safe.</summary>
internal sealed class SessionLifecycle(HubOptions options, RoleMetrics metrics, HubLog log)
{
    private volatile bool _isDraining;

    public HubOptions Options { get; } = options;

    public RoleMetrics Metrics { get; } = metrics;

    /// <summary>The links that are up, or still have sessions.</summary>
    public HubLinks Links { get; } = new();

    /// <summary>Whether ECMs are asked for no new sessions.</summary>
    public bool IsDraining => _isDraining;

    /// <summary>Asks ECMs for no new sessions, on all links that there are or will be.</summary>
    public void Drain()
    {
        _isDraining = true;
        foreach (HubLink link in Links.All()) link.AskForNoMore();
    }

    /// <summary>Takes that back: ECMs are told by cutting the links, which they resume at once.</summary>
    /// <returns>How many links cannot be told, as they cannot be resumed and have sessions.</returns>
    public int EndDrain()
    {
        if (!_isDraining) return 0;
        _isDraining = false;
        return Links.All().Count(link => !link.TryTellDrainIsOver());
    }

    /// <summary>Counts a session that was opened.</summary>
    public void CountOpened(HubLink link, ulong id)
    {
        Metrics.AddSessionOpened();
        Metrics.AddConnected();
        log.SessionOpened(id, link.Peer);
    }

    /// <summary>Counts a session that was refused, as opened and closed.</summary>
    public void CountRefused(HubLink link, ulong id, CloseReason reason)
    {
        log.SessionRefused(id, link.Peer, Label.Of(reason));
        Metrics.AddSessionOpened();
        Metrics.AddSessionClosed(reason);
    }

    /// <summary>Removes a session from its link's table and counts why it ended. Does nothing the second time.</summary>
    public void End(HubLink link, ulong id, CloseReason reason)
    {
        if (!link.Sessions.End(id)) return;
        Metrics.RemoveConnected();
        Metrics.AddSessionClosed(reason);
        log.SessionOver(id, link.Peer, Label.Of(reason));
        link.RemoveWhenDone();
    }
}
