namespace Megaphone.Links;

/// <summary>Watches one link for signs of life (section 4 of the link protocol): asks for one, and calls silence death.</summary>
/// <remarks>Anything that arrives is one. Thread-safe.</remarks>
internal sealed class SignsOfLife : IDisposable
{
    private const int DeadAfter = 3;

    private readonly Action _ask;
    private readonly Action<string> _dead;
    private readonly Func<bool> _silenceIsOurs;
    private Timer? _timer;
    private TimeSpan _interval;
    private long _lastHeard = Environment.TickCount64;

    /// <summary>Notes what is heard, and does nothing else before <see cref="Watch"/>.</summary>
    /// <param name="ask">Asks the other side for a sign of life.</param>
    /// <param name="dead">Ends the link, for a reason in words.</param>
    /// <param name="silenceIsOurs">Whether something may have arrived that has not been looked at.</param>
    public SignsOfLife(Action ask, Action<string> dead, Func<bool> silenceIsOurs)
    {
        _ask = ask;
        _dead = dead;
        _silenceIsOurs = silenceIsOurs;
    }

    /// <summary>Milliseconds since something was heard.</summary>
    public long Silence => Environment.TickCount64 - Volatile.Read(ref _lastHeard);

    /// <summary>Something was heard.</summary>
    public void Heard() => Volatile.Write(ref _lastHeard, Environment.TickCount64);

    /// <summary>Begins: asks after half an interval of silence, and calls three whole ones death.</summary>
    public void Watch(TimeSpan interval)
    {
        _interval = interval;
        _timer = new Timer(_ => Look(), null, interval / 2, interval / 2);
    }

    /// <summary>Ends.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Look()
    {
        TimeSpan silent = TimeSpan.FromMilliseconds(Silence);
        if (silent < _interval / 2 || _silenceIsOurs()) return;
        if (silent <= DeadAfter * _interval) _ask();
        else _dead($"silent for {silent.TotalSeconds:F1} s, three times the keep-alive of {_interval.TotalSeconds:0.###} s");
    }
}
