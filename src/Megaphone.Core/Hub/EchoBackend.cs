using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>The built-in backend <c>echo:</c>: each packet is sent back unchanged, and an end is answered with an end.</summary>
/// <remarks>
/// A full ring stops the link's receiver, the source of all this. Only sessions that their ECM has paused have a
/// backlog.
/// </remarks>
internal sealed class EchoBackend(SessionLifecycle sessions) : ISessionBackend
{
    private readonly Dictionary<HubLink, Dictionary<KeyedNumber, EchoBacklog>> _backlogs = [];
    private readonly BufferOptions _buffers = sessions.Options.Buffers;
    private readonly Lock _lock = new();
    private volatile int _backlogCount;

    /// <inheritdoc/>
    public void Start()
    {
        // Who has waited for room in a ring is not known any more: it is tried.
        foreach (HubLink link in sessions.Links.All()) OnWritable(link);
    }

    /// <inheritdoc/>
    public void Park()
    {
    }

    /// <inheritdoc/>
    public void Save(StateWriter writer)
    {
        writer.Write(_backlogCount);
        foreach ((HubLink link, Dictionary<KeyedNumber, EchoBacklog> ofLink) in _backlogs)
        {
            foreach ((KeyedNumber id, EchoBacklog backlog) in ofLink)
            {
                writer.Write(link.Index);
                writer.Write(id.Number);
                writer.Write(backlog.Paused);
                writer.Write(backlog.PausedEcm);
                writer.Write(backlog.HasEnded);
                writer.Write(backlog.Contents.Count);
                foreach (byte[] content in backlog.Contents) writer.WriteBytes(content);
            }
        }
    }

    /// <inheritdoc/>
    public void Restore(StateReader reader)
    {
        for (int left = reader.ReadNumber(0, int.MaxValue, "the number of paused sessions"); left > 0; left--)
        {
            HubLink? link = sessions.Links.Find(reader.Read<int>());
            ulong id = reader.Read<ulong>();
            reader.Check(link is not null && link.Sessions.Find(id, out _) == SessionTable.State.Open, "a paused session");
            HubSession session = new(link!, id);
            reader.Check(Find(session) is null, "a session that is paused twice");
            EchoBacklog backlog = Add(session);
            (backlog.Paused, backlog.PausedEcm, backlog.HasEnded) = (reader.ReadFlag(), reader.ReadFlag(), reader.ReadFlag());
            for (int contents = reader.ReadNumber(0, int.MaxValue, "the number of packets that wait"); contents > 0; contents--)
            {
                byte[] content = reader.ReadBytes(int.MaxValue, "a packet that waits").ToArray();
                backlog.Contents.Enqueue(content);
                backlog.Bytes += content.Length;
            }

            sessions.Metrics.AddBuffered(backlog.Bytes);
        }
    }

    /// <inheritdoc/>
    public CloseReason? Open(HubLink link, ulong id, out ConnectionId connection)
    {
        connection = default;
        return null;
    }

    /// <inheritdoc/>
    public Outcome Send(in HubSession session, ReadOnlySpan<byte> content)
    {
        if (_backlogCount > 0 && Buffer(session, content) is { } pending) return pending;
        if (!session.Link.Link.TryReply(session.Id, content)) return Outcome.WouldBlock;
        if (content.IsEmpty) sessions.End(session.Link, session.Id, CloseReason.Ended);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public Outcome EndInput(in HubSession session) => Send(session, []);

    /// <inheritdoc/>
    public void Pause(in HubSession session, bool pause)
    {
        lock (_lock)
        {
            EchoBacklog? backlog = Find(session);
            if (backlog is null)
            {
                if (!pause) return;
                backlog = Add(session);
            }

            backlog.Paused = pause;
            if (!pause) SendBacklog(session, backlog);
        }

        PendingFlushes.Flush();
    }

    /// <inheritdoc/>
    public void Abort(in HubSession session, CloseReason reason)
    {
        // On a full link the session stays; the caller tries again later.
        if (!TrySendClose(session, reason)) return;
        PendingFlushes.Flush();
        End(session, reason);
    }

    /// <inheritdoc/>
    public void LinkLost(in HubSession session) => End(session, CloseReason.LinkLost);

    /// <inheritdoc/>
    public void OnWritable(HubLink link)
    {
        if (_backlogCount == 0) return;
        lock (_lock)
        {
            if (!_backlogs.TryGetValue(link, out Dictionary<KeyedNumber, EchoBacklog>? ofLink)) return;
            foreach ((KeyedNumber id, EchoBacklog backlog) in ofLink)
            {
                // What has been sent is taken out, which a dictionary allows while somebody goes through it.
                if (!backlog.Paused) SendBacklog(new HubSession(link, id.Number), backlog);
            }
        }

        PendingFlushes.Flush();
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken deadline) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static bool TrySendClose(in HubSession session, CloseReason reason)
    {
        SessionLife life = SessionLife.OpenedByPeer();
        return life.TrySendClose(session.Link.Usable, session.Id, reason);
    }

    private bool Write(in HubSession session, ReadOnlySpan<byte> content)
    {
        if (!session.Link.Link.TryWrite(session.Id, content)) return false;
        PendingFlushes.Add(session.Link.Link);
        if (content.IsEmpty) sessions.End(session.Link, session.Id, CloseReason.Ended);
        return true;
    }

    /// <summary>Buffers what a paused session must not send, within the bounds of section 5 of the link protocol.</summary>
    /// <returns>Null when the session has no backlog.</returns>
    private Outcome? Buffer(in HubSession session, ReadOnlySpan<byte> content)
    {
        lock (_lock)
        {
            if (Find(session) is not { } backlog) return null;
            if (backlog.HasEnded) return Outcome.Closed;
            bool tooMuch = backlog.Bytes + content.Length > _buffers.LimitBytes;
            if (tooMuch || sessions.Metrics.BufferedBytes + content.Length > _buffers.TotalBytes)
            {
                CloseReason reason = tooMuch ? CloseReason.BufferLimit : CloseReason.BufferTotal;
                if (!TrySendClose(session, reason)) return Outcome.WouldBlock;
                End(session, reason);
                return Outcome.Closed;
            }

            backlog.Contents.Enqueue(content.ToArray());
            backlog.HasEnded = content.IsEmpty;
            backlog.Bytes += content.Length;
            sessions.Metrics.AddBuffered(content.Length);
            if (backlog.Bytes >= _buffers.HighBytes && !backlog.PausedEcm && session.Link.Link is { HasControl: true } link)
            {
                // Set first: to send the pause may free room in the ring, and so have this backlog sent from within the call.
                backlog.PausedEcm = true;
                if (!link.TrySetPaused(session.Id, paused: true)) backlog.PausedEcm = false;
            }

            return Outcome.Done;
        }
    }

    /// <summary>Sends the backlog, as far as there is room. The lock is held.</summary>
    private void SendBacklog(in HubSession session, EchoBacklog backlog)
    {
        while (backlog.Contents.TryPeek(out byte[]? content))
        {
            if (!Write(session, content)) return;
            backlog.Contents.Dequeue();
            backlog.Bytes -= content.Length;
            sessions.Metrics.AddBuffered(-content.Length);
        }

        if (backlog.PausedEcm && !session.Link.Link.TrySetPaused(session.Id, paused: false)) return;
        RemoveBacklog(session);
    }

    private void End(in HubSession session, CloseReason reason)
    {
        sessions.End(session.Link, session.Id, reason);
        lock (_lock) RemoveBacklog(session);
    }

    private EchoBacklog? Find(in HubSession session) =>
        _backlogs.TryGetValue(session.Link, out Dictionary<KeyedNumber, EchoBacklog>? ofLink)
            ? ofLink.GetValueOrDefault(new KeyedNumber(session.Id))
            : null;

    private EchoBacklog Add(in HubSession session)
    {
        if (!_backlogs.TryGetValue(session.Link, out Dictionary<KeyedNumber, EchoBacklog>? ofLink)) _backlogs[session.Link] = ofLink = [];
        _backlogCount++;
        return ofLink[new KeyedNumber(session.Id)] = new EchoBacklog();
    }

    private void RemoveBacklog(in HubSession session)
    {
        if (!_backlogs.TryGetValue(session.Link, out Dictionary<KeyedNumber, EchoBacklog>? ofLink)) return;
        if (!ofLink.Remove(new KeyedNumber(session.Id), out EchoBacklog? backlog)) return;
        if (ofLink.Count == 0) _backlogs.Remove(session.Link);
        sessions.Metrics.AddBuffered(-backlog.Bytes);
        _backlogCount--;
    }
}
