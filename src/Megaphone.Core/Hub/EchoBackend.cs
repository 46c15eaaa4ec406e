using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>The built-in backend <c>echo:</c>: each packet goes back as it came, and an end is answered with an end.</summary>
/// <remarks>
/// A full ring pauses the link itself, which is where all this comes from. Only sessions that their ECM has paused hold
/// anything here.
/// </remarks>
internal sealed class EchoBackend(HubSessions sessions) : ISessionBackend
{
    private readonly Dictionary<HubSession, EchoHold> _holds = [];
    private readonly BufferOptions _buffers = sessions.Options.Buffers;
    private readonly Lock _lock = new();
    private volatile int _holdCount;

    /// <inheritdoc/>
    public CloseReason? Open(HubSession session) => null;

    /// <inheritdoc/>
    public BackendVerdict Send(HubSession session, ReadOnlySpan<byte> content)
    {
        if (_holdCount > 0 && Hold(session, content) is { } held) return held;
        if (!session.Link.Link.TryWriteBack(session.Id, content)) return BackendVerdict.NoRoom;
        if (content.IsEmpty) sessions.Over(session, CloseReason.Ended);
        return BackendVerdict.Taken;
    }

    /// <inheritdoc/>
    public BackendVerdict EndInput(HubSession session) => Send(session, []);

    /// <inheritdoc/>
    public void Pause(HubSession session, bool pause)
    {
        lock (_lock)
        {
            if (!_holds.TryGetValue(session, out EchoHold? hold))
            {
                if (!pause) return;
                _holds[session] = hold = new EchoHold();
                _holdCount = _holds.Count;
            }

            hold.Paused = pause;
            if (!pause) Release(session, hold);
        }

        FlushBatch.Flush();
    }

    /// <inheritdoc/>
    public void Abort(HubSession session, CloseReason reason)
    {
        // On a full link the session stays; whoever wants it ended comes again.
        if (!HubSessions.TryTellOver(session.Link, session.Id, reason, outputEnded: false)) return;
        FlushBatch.Flush();
        End(session, reason);
    }

    /// <inheritdoc/>
    public void LinkLost(HubSession session) => End(session, CloseReason.LinkLost);

    /// <inheritdoc/>
    public void RoomAgain(HubLink link)
    {
        if (_holdCount == 0) return;
        lock (_lock)
        {
            foreach ((HubSession session, EchoHold hold) in _holds.Where(held => held.Key.Link == link && !held.Value.Paused).ToArray())
                Release(session, hold);
        }

        FlushBatch.Flush();
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken deadline) => Task.CompletedTask;

    /// <summary>Nothing to release.</summary>
    public void Dispose()
    {
    }

    private bool Write(HubSession session, ReadOnlySpan<byte> content)
    {
        if (!session.Link.Link.TryWrite(session.Id, content)) return false;
        FlushBatch.Add(session.Link.Link);
        if (content.IsEmpty) sessions.Over(session, CloseReason.Ended);
        return true;
    }

    /// <summary>Keeps what a paused session may not send, within the bounds of section 5 of the link protocol.</summary>
    /// <returns>Null when the session is not held.</returns>
    private BackendVerdict? Hold(HubSession session, ReadOnlySpan<byte> content)
    {
        lock (_lock)
        {
            if (!_holds.TryGetValue(session, out EchoHold? hold)) return null;
            bool tooMuch = hold.Bytes + content.Length > _buffers.LimitBytes;
            if (tooMuch || sessions.Metrics.BufferedBytes + content.Length > _buffers.TotalBytes)
            {
                CloseReason reason = tooMuch ? CloseReason.BufferLimit : CloseReason.BufferTotal;
                if (!HubSessions.TryTellOver(session.Link, session.Id, reason, outputEnded: false)) return BackendVerdict.NoRoom;
                End(session, reason);
                return BackendVerdict.Gone;
            }

            hold.Contents.Enqueue(content.ToArray());
            hold.Bytes += content.Length;
            sessions.Metrics.AddBuffered(content.Length);
            if (hold.Bytes >= _buffers.HighBytes && !hold.PausedEcm && session.Link.Link.HasControl)
            {
                hold.PausedEcm = session.Link.Link.TryWrite(SessionControl.Pause(session.Id));
                if (hold.PausedEcm) sessions.Metrics.AddPause();
            }

            return BackendVerdict.Taken;
        }
    }

    /// <summary>Sends what was held, as far as there is room. The lock is held.</summary>
    private void Release(HubSession session, EchoHold hold)
    {
        while (hold.Contents.TryPeek(out byte[]? content))
        {
            if (!Write(session, content)) return;
            hold.Contents.Dequeue();
            hold.Bytes -= content.Length;
            sessions.Metrics.AddBuffered(-content.Length);
        }

        if (hold.PausedEcm && !session.Link.Link.TryWrite(SessionControl.Resume(session.Id))) return;
        Forget(session);
    }

    private void End(HubSession session, CloseReason reason)
    {
        sessions.Over(session, reason);
        lock (_lock) Forget(session);
    }

    private void Forget(HubSession session)
    {
        if (!_holds.Remove(session, out EchoHold? hold)) return;
        sessions.Metrics.AddBuffered(-hold.Bytes);
        _holdCount = _holds.Count;
    }
}
