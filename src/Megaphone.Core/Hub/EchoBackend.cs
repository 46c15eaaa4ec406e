using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>The built-in backend <c>echo:</c>: each packet goes back as it came, and an end is answered with an end.</summary>
/// <remarks>
/// A full ring pauses the link itself, which is where all this comes from. Only sessions that their ECM has paused hold
/// anything here.
/// </remarks>
internal sealed class EchoBackend(SessionLifecycle sessions) : ISessionBackend
{
    private readonly Dictionary<(HubLink Link, KeyedNumber Id), EchoHold> _holds = [];
    private readonly BufferOptions _buffers = sessions.Options.Buffers;
    private readonly Lock _lock = new();
    private volatile int _holdCount;

    /// <inheritdoc/>
    public CloseReason? Open(HubLink link, ulong id, out ConnectionId connection)
    {
        connection = default;
        return null;
    }

    /// <inheritdoc/>
    public Outcome Send(in HubSession session, ReadOnlySpan<byte> content)
    {
        if (_holdCount > 0 && Hold(session, content) is { } held) return held;
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
            if (!_holds.TryGetValue(KeyOf(session), out EchoHold? hold))
            {
                if (!pause) return;
                _holds[KeyOf(session)] = hold = new EchoHold();
                _holdCount = _holds.Count;
            }

            hold.Paused = pause;
            if (!pause) Release(session, hold);
        }

        PendingFlushes.Flush();
    }

    /// <inheritdoc/>
    public void Abort(in HubSession session, CloseReason reason)
    {
        // On a full link the session stays; whoever wants it ended comes again.
        if (!TrySendClose(session, reason)) return;
        PendingFlushes.Flush();
        End(session, reason);
    }

    /// <inheritdoc/>
    public void LinkLost(in HubSession session) => End(session, CloseReason.LinkLost);

    /// <inheritdoc/>
    public void OnWritable(HubLink link)
    {
        if (_holdCount == 0) return;
        lock (_lock)
        {
            foreach ((var key, EchoHold hold) in _holds.Where(held => held.Key.Link == link && !held.Value.Paused).ToArray())
                Release(new HubSession(key.Link, key.Id.Number), hold);
        }

        PendingFlushes.Flush();
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken deadline) => Task.CompletedTask;

    /// <summary>Nothing to release.</summary>
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

    /// <summary>Keeps what a paused session may not send, within the bounds of section 5 of the link protocol.</summary>
    /// <returns>Null when the session is not held.</returns>
    private Outcome? Hold(in HubSession session, ReadOnlySpan<byte> content)
    {
        lock (_lock)
        {
            if (!_holds.TryGetValue(KeyOf(session), out EchoHold? hold)) return null;
            if (hold.HasEnded) return Outcome.Closed;
            bool tooMuch = hold.Bytes + content.Length > _buffers.LimitBytes;
            if (tooMuch || sessions.Metrics.BufferedBytes + content.Length > _buffers.TotalBytes)
            {
                CloseReason reason = tooMuch ? CloseReason.BufferLimit : CloseReason.BufferTotal;
                if (!TrySendClose(session, reason)) return Outcome.WouldBlock;
                End(session, reason);
                return Outcome.Closed;
            }

            hold.Contents.Enqueue(content.ToArray());
            hold.HasEnded = content.IsEmpty;
            hold.Bytes += content.Length;
            sessions.Metrics.AddBuffered(content.Length);
            if (hold.Bytes >= _buffers.HighBytes && !hold.PausedEcm && session.Link.Link is { HasControl: true } link)
                hold.PausedEcm = link.TrySetPaused(session.Id, paused: true);

            return Outcome.Done;
        }
    }

    /// <summary>Sends what was held, as far as there is room. The lock is held.</summary>
    private void Release(in HubSession session, EchoHold hold)
    {
        while (hold.Contents.TryPeek(out byte[]? content))
        {
            if (!Write(session, content)) return;
            hold.Contents.Dequeue();
            hold.Bytes -= content.Length;
            sessions.Metrics.AddBuffered(-content.Length);
        }

        if (hold.PausedEcm && !session.Link.Link.TrySetPaused(session.Id, paused: false)) return;
        Forget(session);
    }

    private void End(in HubSession session, CloseReason reason)
    {
        sessions.End(session.Link, session.Id, reason);
        lock (_lock) Forget(session);
    }

    private void Forget(in HubSession session)
    {
        if (!_holds.Remove(KeyOf(session), out EchoHold? hold)) return;
        sessions.Metrics.AddBuffered(-hold.Bytes);
        _holdCount = _holds.Count;
    }
}
