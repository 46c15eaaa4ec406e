using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>Watches processes, this one among them, during a run: at each phase, and for their peak in between.</summary>
internal sealed class ProcessWatch : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>Samples that are kept between phases; when there are more, every second one is dropped and they come half as often.</summary>
    private const int MaxSamples = 1024;

    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly Func<long> _clients;
    private readonly Lock _lock = new();
    private readonly List<WatchPoint> _phases = [];
    private readonly List<WatchPoint> _samples = [];
    private readonly long[] _peaks;
    private readonly Timer _timer;
    private int _ticks;
    private int _every = 1;

    /// <summary>Begins to watch.</summary>
    /// <param name="processIds">Beside this process.</param>
    /// <param name="clients">Tells how many connections or users there are.</param>
    public ProcessWatch(IReadOnlyList<int> processIds, Func<long> clients)
    {
        ProcessIds = [Environment.ProcessId, .. processIds];
        _clients = clients;
        _peaks = new long[ProcessIds.Count];
        _timer = new Timer(_ => Sample(), null, Interval, Interval);
    }

    /// <summary>Who is watched; the first is this process.</summary>
    public IReadOnlyList<int> ProcessIds { get; }

    /// <summary>How things stood when each phase ended.</summary>
    public IReadOnlyList<WatchPoint> Phases => _phases;

    /// <summary>How things stood in between, evenly spaced.</summary>
    public IReadOnlyList<WatchPoint> Samples => _samples;

    /// <summary>The most memory that each has had, in bytes, as far as it was seen.</summary>
    public IReadOnlyList<long> Peaks => _peaks;

    /// <summary>Notes how things stand now that something has happened.</summary>
    public void Mark(string phase)
    {
        lock (_lock) _phases.Add(Look(phase));
    }

    /// <summary>Ends it.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_lock) _ticks = int.MinValue;
    }

    private void Sample()
    {
        lock (_lock)
        {
            if (_ticks < 0) return;
            WatchPoint point = Look("");
            if (_ticks++ % _every != 0) return;
            _samples.Add(point);
            if (_samples.Count < MaxSamples) return;
            for (int i = 0; i < MaxSamples / 2; i++) _samples[i] = _samples[2 * i];
            _samples.RemoveRange(MaxSamples / 2, MaxSamples / 2);
            _every *= 2;
        }
    }

    private WatchPoint Look(string phase)
    {
        ProcessUse?[] uses = new ProcessUse?[ProcessIds.Count];
        for (int i = 0; i < uses.Length; i++)
        {
            uses[i] = ProcessUse.Of(ProcessIds[i]);
            _peaks[i] = Math.Max(_peaks[i], uses[i]?.MemoryBytes ?? 0);
        }

        return new WatchPoint(phase, Stopwatch.GetElapsedTime(_began).TotalSeconds, _clients(), uses);
    }
}
