using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Hub;

/// <summary>One link of a hub: routes its packets to the sessions on it.</summary>
internal sealed class HubLink(HubSessions sessions, ISessionBackend backend) : ILinkHandler
{
    /// <summary>Ended ids that are remembered: more than can have packets in flight, and not more than a few megabytes.</summary>
    private const int RememberedIds = 64 << 10;

    private readonly bool _clocked = sessions.Options.IdleTimeout is not null;
    private volatile bool _closing;
    private Link? _link;

    /// <summary>The link, once it is up.</summary>
    public Link Link => _link!;

    /// <summary>The sessions on it.</summary>
    public SessionTable Sessions { get; } = new(RememberedIds);

    /// <summary>Nothing more is to be put on it: it is down, or is being drained.</summary>
    public bool Closing
    {
        get => _closing;
        set => _closing = value;
    }

    /// <inheritdoc/>
    public void Up(Link link) => _link = link;

    /// <inheritdoc/>
    public bool TryTake(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        HubSession? session = Sessions.Find(id, out bool wasEnded);
        if (session is null)
        {
            if (wasEnded) return Drop();
            if (Refusal(id, out session) is { } refusal)
            {
                // Not opened, so not over either: the id is only remembered once the ECM has been told.
                if (!HubSessions.TryTellOver(this, id, refusal, outputEnded: false)) return false;
                Sessions.Refuse(id);
                sessions.CountRefused(this, id, refusal);
                return true;
            }
        }

        if (_clocked) session!.LastActivity = Environment.TickCount64;
        if (session!.InputEnded) return Drop();
        BackendVerdict verdict = content.IsEmpty ? backend.EndInput(session) : backend.Send(session, content);
        if (verdict == BackendVerdict.NoRoom) return false;
        if (verdict == BackendVerdict.Gone) return Drop();
        if (content.IsEmpty) session.InputEnded = true;
        return true;
    }

    /// <inheritdoc/>
    public void Control(Link link, ControlMessage message)
    {
        if (message.Id is not { } id || Sessions.Find(id, out _) is not { } session) return;
        if (message.Op == ControlOp.Reset) backend.Abort(session, CloseReason.ResetByPeer);
        else backend.Pause(session, message.Op == ControlOp.Pause);
    }

    /// <inheritdoc/>
    public void BatchEnded(Link link) => FlushBatch.Flush();

    /// <inheritdoc/>
    public void RoomAgain(Link link) => backend.RoomAgain(this);

    /// <inheritdoc/>
    public void Down(Link link)
    {
        Closing = true;
        foreach (HubSession session in Sessions.Open()) backend.LinkLost(session);

        // A ring that nobody empties has never room again: what waits for it is to see now that there is no link.
        backend.RoomAgain(this);
    }

    /// <summary>Opens a session, unless something is against it.</summary>
    private CloseReason? Refusal(ulong id, out HubSession? session)
    {
        session = null;
        if (sessions.Metrics.Connected >= sessions.Options.MaxSessions) return CloseReason.TooManySessions;

        // In the table before the backend knows it: a backend that refuses at once takes it out again.
        HubSession begun = new(this, id);
        Sessions.Add(begun);
        if (backend.Open(begun) is { } refusal)
        {
            Sessions.Forget(id);
            return refusal;
        }

        sessions.CountOpened(begun);
        session = begun;
        return null;
    }

    private bool Drop()
    {
        sessions.Metrics.AddDropped(DropReason.SessionOver);
        return true;
    }
}
