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
    private Timer? _timer;
    private TimeSpan _interval;
    private long _lastReceived = Environment.TickCount64;

    /// <summary>Makes a monitor that does nothing before <see cref="Start"/> but note what arrives.</summary>
    /// <param name="ping">Sends a ping.</param>
    /// <param name="close">Closes the connection; gets the reason for the log.</param>
    /// <param name="hasUnprocessedInput">Whether input may have arrived that this end has not read yet: then the other side is not silent.</param>
    public KeepAliveMonitor(Action ping, Action<string> close, Func<bool> hasUnprocessedInput)
    {
        _ping = ping;
        _close = close;
        _hasUnprocessedInput = hasUnprocessedInput;
    }

    /// <summary>Milliseconds since something arrived.</summary>
    public long Silence => Environment.TickCount64 - Volatile.Read(ref _lastReceived);

    /// <summary>Something arrived.</summary>
    public void OnReceived() => Volatile.Write(ref _lastReceived, Environment.TickCount64);

    /// <summary>Starts the timer: pings after half an interval of silence, and closes after three intervals.</summary>
    public void Start(TimeSpan interval)
    {
        _interval = interval;
        _timer = new Timer(_ => Check(), null, interval / 2, interval / 2);
    }

    /// <summary>Stops the timer.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Check()
    {
        TimeSpan silent = TimeSpan.FromMilliseconds(Silence);
        if (silent < _interval / 2 || _hasUnprocessedInput()) return;
        if (silent <= DeadAfter * _interval) _ping();
        else _close($"silent for {silent.TotalSeconds:F1} s, three times the keep-alive of {_interval.TotalSeconds:0.###} s");
    }
}
