using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Bench;

/// <summary>
/// Samples the usage of processes, this one among them, during a run: at the end of each phase, and four times a second for the peak.
/// </summary>
internal sealed class ProcessWatch : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Samples that are kept; when there are more, every second one is dropped, and they are kept half as often from then on.
    /// </summary>
    private const int MaxSamples = 1024;

    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly Func<long> _clients;
    private readonly Lock _lock = new();
    private readonly List<WatchSample> _phases = [];
    private readonly List<WatchSample> _samples = [];
    private readonly long[] _peaks;
    private readonly Timer _timer;
    private int _ticks;
    private int _every = 1;

    /// <summary>Begins to sample.</summary>
    /// <param name="workers">Other processes of this run, whose usage is added to this one's.</param>
    /// <param name="others">Processes that are no part of the run.</param>
    /// <param name="clients">Counts the connections, or users.</param>
    public ProcessWatch(IReadOnlyList<int> workers, IReadOnlyList<int> others, Func<long> clients)
    {
        Watched =
        [
            new WatchedProcess("bench", "bench", [Environment.ProcessId, .. workers]),
            .. others.Select(id => new WatchedProcess(
                id.ToString(CultureInfo.InvariantCulture), string.Create(CultureInfo.InvariantCulture, $"{ProcessUsage.NameOf(id)} {id}"), [id])),
        ];
        _clients = clients;
        _peaks = new long[Watched.Count];
        _timer = new Timer(_ => Sample(), null, Interval, Interval);
    }

    /// <summary>The watch of a run. A worker watches itself alone; the process that split the run watches the rest.</summary>
    public static ProcessWatch Of(RunOptions run, RunContext context, Func<long> clients)
    {
        if (context.Worker is { } worker) worker.Clients = clients;
        return new ProcessWatch([], context.Worker is null ? run.Watch : [], clients);
    }

    /// <summary>What is watched; the first is this run itself.</summary>
    public IReadOnlyList<WatchedProcess> Watched { get; }

    /// <summary>The samples at the ends of phases.</summary>
    public IReadOnlyList<WatchSample> Phases => _phases;

    /// <summary>The samples in between, evenly spaced.</summary>
    public IReadOnlyList<WatchSample> Samples => _samples;

    /// <summary>The most memory of each in any sample, in bytes.</summary>
    public IReadOnlyList<long> Peaks => _peaks;

    /// <summary>Samples at the end of a phase.</summary>
    public void Mark(string phase)
    {
        lock (_lock) _phases.Add(Take(phase));
    }

    /// <summary>Ends the sampling.</summary>
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
            WatchSample point = Take("");
            if (_ticks++ % _every != 0) return;
            _samples.Add(point);
            if (_samples.Count < MaxSamples) return;
            for (int i = 0; i < MaxSamples / 2; i++) _samples[i] = _samples[2 * i];
            _samples.RemoveRange(MaxSamples / 2, MaxSamples / 2);
            _every *= 2;
        }
    }

    private WatchSample Take(string phase)
    {
        ProcessUsage?[] uses = new ProcessUsage?[Watched.Count];
        for (int i = 0; i < uses.Length; i++)
        {
            uses[i] = ProcessUsage.Of(Watched[i].Ids);
            _peaks[i] = Math.Max(_peaks[i], uses[i]?.MemoryBytes ?? 0);
        }

        return new WatchSample(phase, Stopwatch.GetElapsedTime(_began).TotalSeconds, _clients(), uses);
    }
}
