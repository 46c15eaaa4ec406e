namespace Megaphone.Links;

/// <summary>Counts what of a link's stream its handler has taken, and acknowledges it (section 7 of the link protocol).</summary>
/// <remarks>An acknowledgement is due when an eighth of the window has come since the last, or a second after anything that calls for one. One
/// for which the ring has no room is tried again with what arrives next, and after a second.</remarks>
/// <param name="link">The link.</param>
/// <param name="window">How many bytes the other end may leave unacknowledged.</param>
/// <param name="time">The clock.</param>
internal sealed class Acknowledger(Link link, int window, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(1);

    private readonly int _every = Math.Max(1, window / 8);
    private readonly Lock _lock = new();
    private ITimer? _timer;
    private bool _isTimerSet;
    private bool _isDisposed;
    private long _received;
    private long _acknowledged;

    /// <summary>Bytes of whole packets that have been taken.</summary>
    public long Received => Volatile.Read(ref _received);

    /// <summary>More was taken. By one thread at a time, which flushes the link afterwards.</summary>
    /// <param name="bytes">How much.</param>
    /// <param name="callsForAck">Whether any of it was something else than an acknowledgement, a ping or a pong.</param>
    public void OnTaken(int bytes, bool callsForAck)
    {
        Volatile.Write(ref _received, _received + bytes);
        bool isDue = _received - Volatile.Read(ref _acknowledged) >= _every;
        if (isDue ? !TryAcknowledge() : callsForAck) SetTimer();
    }

    /// <summary>Acknowledges everything that was taken, now, or as soon as there is room. The caller flushes the link.</summary>
    public void AcknowledgeNow()
    {
        if (!TryAcknowledge()) SetTimer();
    }

    /// <summary>Acknowledges everything that was taken. The caller flushes the link.</summary>
    /// <returns>False when there is no room for it now.</returns>
    private bool TryAcknowledge()
    {
        long received = Received;
        if (!link.TryWriteAck(received)) return false;
        Volatile.Write(ref _acknowledged, received);
        return true;
    }

    /// <summary>Goes on where another one stood, for a link that is cut.</summary>
    public void Restore(long received) => _received = _acknowledged = received;

    /// <summary>The other end has been told in the handshake.</summary>
    public void OnTold() => Volatile.Write(ref _acknowledged, Received);

    /// <summary>Stops the timer for good.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _timer?.Dispose();
        }
    }

    private void SetTimer()
    {
        // Set by whoever finds it unset: a busy link sets it once a second.
        if (Volatile.Read(ref _isTimerSet)) return;
        lock (_lock)
        {
            if (_isTimerSet || _isDisposed) return;
            Volatile.Write(ref _isTimerSet, true);
            _timer ??= time.CreateTimer(_ => OnTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _timer.Change(Delay, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTimer()
    {
        lock (_lock) Volatile.Write(ref _isTimerSet, false);

        // While the link is cut there is nobody to tell; the handshake of its next connection does.
        if (link.IsCut || Received == Volatile.Read(ref _acknowledged)) return;
        if (TryAcknowledge()) link.Flush();
        else SetTimer();
    }
}
