using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Watches one connection of a link (section 4 of the link protocol): pings when it is silent, and closes it when it stays silent.</summary>
/// <remarks>Anything that arrives is a sign of life. Thread-safe.</remarks>
internal sealed class KeepAliveMonitor : IDisposable
{
    /// <summary>Intervals of silence after which the other side is considered dead.</summary>
    private const int DeadAfter = 3;

    private readonly Action _ping;
    private readonly Action<string> _close;
    private readonly Func<bool> _hasUnprocessedInput;
    private readonly RoleMetrics _metrics;
    private readonly TimeProvider _time;
    private ITimer? _timer;
    private TimeSpan _interval;
    private bool _isResumable;
    private long _lastReceived;

    /// <summary>When the last ping was sent; 0 once it is answered.</summary>
    private long _sentAt;

    /// <summary>The first ping since anything was received; before that, any. Used by the timer only.</summary>
    private long _pingedAt;

    /// <summary>Makes a monitor that does nothing before <see cref="Start"/> but note what arrives.</summary>
    /// <param name="ping">Sends a ping.</param>
    /// <param name="close">Closes the connection; gets the reason for the log.</param>
    /// <param name="hasUnprocessedInput">Whether input may have arrived that this end has not read yet: then the other side is not silent.</param>
    /// <param name="metrics">Counts how long pings take to be answered.</param>
    /// <param name="time">The clock.</param>
    public KeepAliveMonitor(Action ping, Action<string> close, Func<bool> hasUnprocessedInput, RoleMetrics metrics, TimeProvider time)
    {
        _ping = ping;
        _close = close;
        _hasUnprocessedInput = hasUnprocessedInput;
        _metrics = metrics;
        _time = time;
        OnReceived();
    }

    /// <summary>The time since something arrived.</summary>
    public TimeSpan Silence => _time.GetElapsedTime(Volatile.Read(ref _lastReceived));

    /// <summary>Something arrived.</summary>
    public void OnReceived() => Volatile.Write(ref _lastReceived, _time.GetTimestamp());

    /// <summary>A ping is answered.</summary>
    public void OnPong()
    {
        long sentAt = Interlocked.Exchange(ref _sentAt, 0);
        if (sentAt != 0) _metrics.RoundTrips.Add(_time.GetElapsedTime(sentAt), TimeHistogram.ShortBounds);
    }

    /// <summary>Starts the timer: pings after half an interval of silence, and closes after three intervals; if the link can be resumed, one
    /// interval after a ping (section 7).</summary>
    public void Start(TimeSpan interval, bool isResumable)
    {
        _interval = interval;
        _isResumable = isResumable;
        _timer = _time.CreateTimer(_ => Check(), null, interval / 2, interval / 2);
    }

    /// <summary>Stops the timer.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Check()
    {
        TimeSpan silent = Silence;
        if (silent < _interval / 2 || _hasUnprocessedInput()) return;
        if (_isResumable)
        {
            bool isUnanswered = _pingedAt > Volatile.Read(ref _lastReceived);
            if (!isUnanswered) _pingedAt = _time.GetTimestamp();
            else if (_time.GetElapsedTime(_pingedAt) >= _interval)
            {
                _close($"silent for {silent.TotalSeconds:F1} s, a ping was not answered within the keep-alive of {_interval.TotalSeconds:0.###} s");
                return;
            }

            Ping();
        }
        else if (silent <= DeadAfter * _interval) Ping();
        else _close($"silent for {silent.TotalSeconds:F1} s, three times the keep-alive of {_interval.TotalSeconds:0.###} s");
    }

    private void Ping()
    {
        Volatile.Write(ref _sentAt, _time.GetTimestamp());
        _ping();
    }
}
