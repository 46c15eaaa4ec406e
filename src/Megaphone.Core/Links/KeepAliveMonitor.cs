namespace Megaphone.Links;

/// <summary>Watches one connection of a link (section 4 of the link protocol): pings a silent one, and ends one that stays silent.</summary>
/// <remarks>Anything that arrives counts. Thread-safe.</remarks>
internal sealed class KeepAliveMonitor : IDisposable
{
    /// <summary>Intervals of silence after which the other side is taken for dead.</summary>
    private const int DeadAfter = 3;

    private readonly Action _ping;
    private readonly Action<string> _close;
    private readonly Func<bool> _hasUnprocessedInput;
    private Timer? _timer;
    private TimeSpan _interval;
    private long _lastHeard = Environment.TickCount64;

    /// <summary>Notes what is heard, and does nothing else before <see cref="Watch"/>.</summary>
    /// <param name="ping">Asks the other side for an answer.</param>
    /// <param name="close">Closes the connection, for a reason in words.</param>
    /// <param name="hasUnprocessedInput">Whether something may have arrived that has not been looked at: then the silence is our own.</param>
    public KeepAliveMonitor(Action ping, Action<string> close, Func<bool> hasUnprocessedInput)
    {
        _ping = ping;
        _close = close;
        _hasUnprocessedInput = hasUnprocessedInput;
    }

    /// <summary>Milliseconds since something was heard.</summary>
    public long Silence => Environment.TickCount64 - Volatile.Read(ref _lastHeard);

    /// <summary>Something was heard.</summary>
    public void Heard() => Volatile.Write(ref _lastHeard, Environment.TickCount64);

    /// <summary>Begins: pings after half an interval of silence, and closes after three whole ones.</summary>
    public void Watch(TimeSpan interval)
    {
        _interval = interval;
        _timer = new Timer(_ => Check(), null, interval / 2, interval / 2);
    }

    /// <summary>Ends.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Check()
    {
        TimeSpan silent = TimeSpan.FromMilliseconds(Silence);
        if (silent < _interval / 2 || _hasUnprocessedInput()) return;
        if (silent <= DeadAfter * _interval) _ping();
        else _close($"silent for {silent.TotalSeconds:F1} s, three times the keep-alive of {_interval.TotalSeconds:0.###} s");
    }
}
