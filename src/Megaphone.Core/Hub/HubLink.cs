using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>One link of a hub: routes its packets to the sessions on it.</summary>
internal sealed class HubLink(SessionLifecycle sessions, ISessionBackend backend) : ILinkHandler
{
    /// <summary>Ended ids that are remembered: more than can have packets in flight, and not more than a few megabytes.</summary>
    private const int RememberedIds = 64 << 10;

    private readonly bool _clocked = sessions.Options.IdleTimeout is not null;
    private volatile bool _closing;
    private volatile bool _down;
    private int _left;
    private Link? _link;
    private SessionTable? _sessions;

    /// <summary>The link, once it is up.</summary>
    public Link Link => _link!;

    /// <summary>The link as long as something may be put on it; null when it is down, or is being drained.</summary>
    public Link? Usable => _closing ? null : _link;

    /// <summary>The address at its other end.</summary>
    public string Peer => Link.Connection.Peer;

    /// <summary>Its place among the hub's links, once it is up.</summary>
    public int Place { get; private set; }

    /// <summary>The sessions on it, once it is up.</summary>
    public SessionTable Sessions => _sessions!;

    /// <summary>Nothing more is to be put on it.</summary>
    public void StopSending() => _closing = true;

    /// <summary>The sessions that are open; see <see cref="SessionTable.Open"/>.</summary>
    public IEnumerable<HubSession> OpenSessions(uint idleFor = 0) =>
        _sessions is null ? [] : _sessions.Open(idleFor).Select(session => new HubSession(this, session.Id, session.Connection));

    /// <summary>Gives its place back when it is down and its last session is over. Any thread.</summary>
    public void LeaveWhenOver()
    {
        if (_down && Sessions.OpenCount == 0 && Interlocked.Exchange(ref _left, 1) == 0) sessions.Links.Remove(Place);
    }

    /// <inheritdoc/>
    public void OnUp(Link link)
    {
        _link = link;
        _sessions = new SessionTable(RememberedIds);
        Place = sessions.Links.Add(this);
    }

    /// <inheritdoc/>
    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        switch (Sessions.Find(id, out ConnectionId connection))
        {
            case SessionTable.State.Over:
                return Drop();
            case SessionTable.State.Unknown when TryOpen(id, out connection) is { } refusal:
                // Not opened, so not over either: the id is only remembered once the ECM has been told.
                SessionLife life = SessionLife.OpenedByPeer();
                if (!life.TrySendClose(Usable, id, refusal)) return Outcome.WouldBlock;
                Sessions.Refuse(id);
                sessions.CountRefused(this, id, refusal);
                return Outcome.Done;
        }

        if (_clocked) Sessions.Touch(id);
        HubSession session = new(this, id, connection);
        Outcome outcome = content.IsEmpty ? backend.EndInput(session) : backend.Send(session, content);
        return outcome == Outcome.Closed ? Drop() : outcome;
    }

    /// <inheritdoc/>
    public void OnControl(Link link, ControlMessage message)
    {
        if (message.Id is not { } id || Sessions.Find(id, out ConnectionId connection) != SessionTable.State.Open) return;
        HubSession session = new(this, id, connection);
        if (message.Op == ControlOp.Reset) backend.Abort(session, CloseReason.ResetByPeer);
        else backend.Pause(session, message.Op == ControlOp.Pause);
    }

    /// <inheritdoc/>
    public void OnBatchEnd(Link link) => PendingFlushes.Flush();

    /// <inheritdoc/>
    public void OnWritable(Link link) => backend.OnWritable(this);

    /// <inheritdoc/>
    public void OnDown(Link link)
    {
        StopSending();
        _down = true;
        foreach (HubSession session in OpenSessions()) backend.LinkLost(session);
        LeaveWhenOver();

        // A ring that nobody empties has never room again: what waits for it is to see now that there is no link.
        backend.OnWritable(this);
    }

    /// <summary>Opens a session, unless something is against it.</summary>
    /// <returns>What that is; else null.</returns>
    private CloseReason? TryOpen(ulong id, out ConnectionId connection)
    {
        connection = default;
        if (sessions.Metrics.Connected >= sessions.Options.MaxSessions) return CloseReason.TooManySessions;

        // In the table before the backend knows it: a backend that refuses at once takes it out again.
        Sessions.Add(id);
        if (backend.Open(this, id, out connection) is { } refusal)
        {
            Sessions.Forget(id);
            return refusal;
        }

        Sessions.SetConnection(id, connection);
        sessions.CountOpened(this, id);
        return null;
    }

    private Outcome Drop()
    {
        sessions.Metrics.AddDropped(DropReason.SessionOver);
        return Outcome.Done;
    }
}
