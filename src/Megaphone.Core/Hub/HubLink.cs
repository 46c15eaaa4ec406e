using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>One link of a hub: routes its packets to the sessions on it.</summary>
internal sealed class HubLink(SessionLifecycle sessions, ISessionBackend backend) : ILinkHandler
{
    /// <summary>How many ended ids are kept: more than can have packets in flight, and less than a few megabytes.</summary>
    private const int MaxEndedIds = 64 << 10;

    private readonly bool _tracksIdle = sessions.Options.IdleTimeout is not null;
    private volatile bool _closing;
    private volatile bool _down;
    private int _removed;
    private Link? _link;
    private SessionTable? _table;

    /// <summary>The link, once it is up; not to be asked for when it was over as the process's last image ended.</summary>
    public Link Link => _link!;

    /// <summary>See <see cref="Link.Number"/>.</summary>
    public int Number { get; private set; }

    /// <summary>The link while packets may be written to it; null when it is down or being drained.</summary>
    public Link? Usable => _closing ? null : _link;

    /// <summary>The address at its other end, which may be another one each time that it is resumed.</summary>
    public string Peer { get; private set; } = "";

    /// <summary>Its index in <see cref="HubLinks"/>, once it is up.</summary>
    public int Index { get; private set; }

    /// <summary>The sessions on it, once it is up.</summary>
    public SessionTable Sessions => _table!;

    /// <summary>Asks the ECM for no new sessions on it.</summary>
    public void AskForNoMore() => Usable?.TryWrite(ControlMessage.Drain());

    /// <summary>Takes that back, by having the ECM connect again.</summary>
    /// <returns>False when its sessions would not outlive that.</returns>
    public bool TryTellDrainIsOver()
    {
        if (Usable is not { } link) return true;
        if (link.Terms is null && Sessions.OpenCount > 0) return false;
        link.Connection?.Close("it is drained no more");
        return true;
    }

    /// <summary>How it is now.</summary>
    public LinkStatus? Status => _link is not { } link || _down ? null : new LinkStatus(
        link.PeerName ?? "", link.PeerName, link.IsCut ? "cut" : sessions.IsDraining ? "draining" : "up", Sessions.OpenCount, link.Age,
        link.IsCut ? null : link.Connection?.RoundTrip, link.Ring.Queued + link.Ring.Unacknowledged, link.Ring.Capacity);

    /// <summary>Stops all writing to it.</summary>
    public void StopSending() => _closing = true;

    /// <summary>The sessions that are open; see <see cref="SessionTable.Open"/>.</summary>
    public IEnumerable<HubSession> OpenSessions(TimeSpan idleFor = default)
    {
        if (_table is not { } table) yield break;
        foreach ((ulong id, ConnectionId connection) in table.Open(idleFor)) yield return new HubSession(this, id, connection);
    }

    /// <summary>Writes it. Nothing carries it, and nobody uses it.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="registrations">By which links that are cut are found again; without one it is over, and has sessions yet.</param>
    public void Save(StateWriter writer, IReadOnlyDictionary<Link, LinkRegistration> registrations)
    {
        LinkRegistration? registration = _link is { } link ? registrations.GetValueOrDefault(link) : null;
        writer.Write(Index);
        writer.Write(Number);
        writer.WriteText(Peer);
        writer.Write(_tracksIdle);
        Sessions.Save(writer);
        writer.Write(registration is not null);
        if (registration is null) return;
        registration.Save(writer);
        Link.Save(writer);
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public static HubLink Restore(StateReader reader, SessionLifecycle sessions, ISessionBackend backend, LinkListener listener)
    {
        HubLink link = new(sessions, backend)
        {
            Index = reader.ReadNumber(0, HubLinks.MaxIndex, "a link's index"),
            Number = reader.ReadNumber(1, int.MaxValue, "a link's number"),
            Peer = reader.ReadName("a link's peer"),
        };
        bool wasTracked = reader.ReadFlag();
        link._table = SessionTable.Restore(reader, MaxEndedIds, areActiveNow: !wasTracked);
        if (reader.ReadFlag()) link._link = listener.Restore(reader, link, link.Peer);
        else link._closing = link._down = true;
        reader.Check(sessions.Links.TryRestore(link), "the order of links");
        return link;
    }

    /// <summary>Removes it from the hub's links once it is down and its last session is over. Thread-safe.</summary>
    public void RemoveWhenDone()
    {
        if (_down && Sessions.OpenCount == 0 && Interlocked.Exchange(ref _removed, 1) == 0) sessions.Links.Remove(Index);
    }

    /// <inheritdoc/>
    public void OnUp(Link link)
    {
        (_link, Number, Peer) = (link, link.Number, link.Connection!.Peer);
        _table = new SessionTable(MaxEndedIds);
        Index = sessions.Links.Add(this);
        if (sessions.IsDraining) AskForNoMore();
    }

    /// <inheritdoc/>
    public void OnResumed(Link link)
    {
        Peer = link.Connection!.Peer;
        if (sessions.IsDraining) AskForNoMore();
    }

    /// <inheritdoc/>
    public Outcome OnPacket(Link link, ulong id, ReadOnlySpan<byte> content)
    {
        switch (Sessions.Find(id, out ConnectionId connection))
        {
            case SessionTable.State.Ended:
                return Drop();
            case SessionTable.State.Unknown when TryOpen(id, out connection) is { } refusal:
                // The id counts as ended only once the ECM has been told.
                SessionLife life = SessionLife.OpenedByPeer();
                if (!life.TrySendClose(Usable, id, refusal)) return Outcome.WouldBlock;
                Sessions.Refuse(id);
                sessions.CountRefused(this, id, refusal);
                return Outcome.Done;
        }

        if (_tracksIdle) Sessions.Touch(id);
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
    public void OnWritable(Link link) => backend.OnWritable(this);

    /// <inheritdoc/>
    public void OnDown(Link link)
    {
        StopSending();
        _down = true;
        foreach (HubSession session in OpenSessions()) backend.LinkLost(session);
        RemoveWhenDone();

        // The ring will never have room again: connections that wait for it must find out now that the link is down.
        backend.OnWritable(this);
    }

    /// <summary>Opens a session.</summary>
    /// <returns>Why it is refused; else null.</returns>
    private CloseReason? TryOpen(ulong id, out ConnectionId connection)
    {
        connection = default;
        if (sessions.Metrics.Connected >= sessions.Options.MaxSessions) return CloseReason.TooManySessions;

        // Added before the backend is asked, because the backend may end the session at once.
        Sessions.Add(id);
        if (backend.Open(this, id, out connection) is { } refusal)
        {
            Sessions.Remove(id);
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
