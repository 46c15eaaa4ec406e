using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Bench;

/// <summary>Watches processes, this one among them, during a run: at each phase, and for their peak in between.</summary>
internal sealed class ProcessWatch : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Samples that are kept between phases; when there are more, every second one is dropped and they come half as often.
    /// </summary>
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
    /// <param name="parts">Processes of this same run, whose use is added to this one's.</param>
    /// <param name="others">Other processes.</param>
    /// <param name="clients">Tells how many connections or users there are.</param>
    public ProcessWatch(IReadOnlyList<int> parts, IReadOnlyList<int> others, Func<long> clients)
    {
        Watched =
        [
            ("bench", [Environment.ProcessId, .. parts]),
            .. others.Select(id => (id.ToString(CultureInfo.InvariantCulture), (IReadOnlyList<int>)[id])),
        ];
        _clients = clients;
        _peaks = new long[Watched.Count];
        _timer = new Timer(_ => Sample(), null, Interval, Interval);
    }

    /// <summary>The watch of a run. In a part of a split one the process that started it watches the others.</summary>
    public static ProcessWatch Of(RunOptions run, RunContext context, Func<long> clients)
    {
        if (context.Part is { } part) part.Clients = clients;
        return new ProcessWatch([], context.Part is null ? run.Watch : [], clients);
    }

    /// <summary>Who is watched, and by which name; the first is this run itself.</summary>
    public IReadOnlyList<(string Name, IReadOnlyList<int> Ids)> Watched { get; }

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
        ProcessUse?[] uses = new ProcessUse?[Watched.Count];
        for (int i = 0; i < uses.Length; i++)
        {
            uses[i] = ProcessUse.Of(Watched[i].Ids);
            _peaks[i] = Math.Max(_peaks[i], uses[i]?.MemoryBytes ?? 0);
        }

        return new WatchPoint(phase, Stopwatch.GetElapsedTime(_began).TotalSeconds, _clients(), uses);
    }
}
