namespace Megaphone.Links;

/// <summary>What is logged about one connection of a link: that the link came up, what happened to it, and how the connection ended.</summary>
/// <param name="peer">The address at the other end.</param>
/// <param name="log">The log of links.</param>
/// <param name="limiter">Bounds the lines that anybody can cause; null for a connection that was not accepted.</param>
internal sealed class LinkConnectionLog(string peer, LinkLog log, LinkLogLimiter? limiter)
{
    /// <summary>
    /// Whether the other side has authenticated. What happens to its link is always logged from then on, and not only counted: not
    /// everybody can cause it.
    /// </summary>
    public bool HasAuthenticated { get; set; }

    /// <summary>The link came up.</summary>
    public void Up(string? name, string kind, int maxPacket)
    {
        if (MayLog(LinkEvent.Up)) log.Up(peer, name ?? "no name", kind, maxPacket);
    }

    /// <summary>The connection has ended, and its link waits for another.</summary>
    public void Cut(Link link, string reason)
    {
        if (MayLog(LinkEvent.Cut)) log.Cut(peer, link.Age.TotalSeconds, reason, link.Terms!.Timeout.TotalSeconds, link.Ring.Unacknowledged);
    }

    /// <summary>The connection has taken up a link that was cut.</summary>
    public void Resumed(TimeSpan cutFor, string kind, long again)
    {
        if (MayLog(LinkEvent.Resumed)) log.Resumed(peer, cutFor.TotalSeconds, kind, again);
    }

    /// <summary>The link was cut, and is over.</summary>
    public void Lost(Link link, string reason)
    {
        if (!MayLog(LinkEvent.Lost)) return;
        LinkCounters counters = link.Counters;
        log.Lost(peer, link.CutFor.TotalSeconds, reason, counters.PacketsIn, counters.BytesIn, counters.PacketsOut, counters.BytesOut);
    }

    /// <summary>The other side asked for no new sessions.</summary>
    public void DrainAsked()
    {
        if (MayLog(LinkEvent.Draining)) log.DrainAsked(peer);
    }

    /// <summary>A link of another process that has the same name is up.</summary>
    public void NameShared(string? name)
    {
        if (MayLog(LinkEvent.NameShared)) log.NameShared(peer, name ?? "no name");
    }

    /// <summary>Something was thrown that nothing expects.</summary>
    public void Unexpected(Exception error)
    {
        if (MayLog(LinkEvent.InternalError)) log.Unexpected(peer, error);
    }

    /// <summary>The connection has ended.</summary>
    /// <param name="warning">What the other side did wrong; null: nothing.</param>
    /// <param name="wasUp">Whether its link came up.</param>
    /// <param name="reason">Why it ended.</param>
    /// <param name="age">How long it lasted.</param>
    /// <param name="counters">What went over it.</param>
    public void Ended(LinkEvent? warning, bool wasUp, string reason, TimeSpan age, LinkCounters counters)
    {
        if (!MayLog(warning ?? (wasUp ? LinkEvent.Down : LinkEvent.Unused))) return;
        double seconds = age.TotalSeconds;
        if (warning is not null) log.Broken(peer, reason, seconds, counters.PacketsIn, counters.BytesIn);
        else if (!wasUp) log.Unused(peer, reason);
        else log.Down(peer, reason, seconds, counters.PacketsIn, counters.BytesIn, counters.PacketsOut, counters.BytesOut);
    }

    private bool MayLog(LinkEvent what) => limiter is null || HasAuthenticated || limiter.TryPass(what);
}
