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
    private readonly Dictionary<(HubLink Link, KeyedNumber Id), EchoBacklog> _backlogs = [];
    private readonly BufferOptions _buffers = sessions.Options.Buffers;
    private readonly Lock _lock = new();
    private volatile int _backlogCount;

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
            if (!_backlogs.TryGetValue(KeyOf(session), out EchoBacklog? backlog))
            {
                if (!pause) return;
                _backlogs[KeyOf(session)] = backlog = new EchoBacklog();
                _backlogCount = _backlogs.Count;
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
            foreach ((var key, EchoBacklog backlog) in _backlogs.Where(pending => pending.Key.Link == link && !pending.Value.Paused).ToArray())
                SendBacklog(new HubSession(key.Link, key.Id.Number), backlog);
        }

        PendingFlushes.Flush();
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken deadline) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static (HubLink Link, KeyedNumber Id) KeyOf(in HubSession session) => (session.Link, new KeyedNumber(session.Id));

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
            if (!_backlogs.TryGetValue(KeyOf(session), out EchoBacklog? backlog)) return null;
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
                backlog.PausedEcm = link.TrySetPaused(session.Id, paused: true);

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

    private void RemoveBacklog(in HubSession session)
    {
        if (!_backlogs.Remove(KeyOf(session), out EchoBacklog? backlog)) return;
        sessions.Metrics.AddBuffered(-backlog.Bytes);
        _backlogCount = _backlogs.Count;
    }
}
