using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Bench;

/// <summary>A run that is split over several processes, the workers, each of which opens its share of the connections.</summary>
/// <remarks>The workers go through the phases together: when all have ended one, all begin the next.</remarks>
internal sealed class SplitBench : IBench
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LastWait = TimeSpan.FromMinutes(1);

    private readonly RunContext _context;
    private readonly ProblemCounts _problems = new();
    private readonly WorkerProcess[] _workers;
    private readonly ProcessWatch _watch;

    /// <summary>Starts the workers.</summary>
    /// <param name="mode">The mode's name.</param>
    /// <param name="shares">The arguments of each worker, without the mode.</param>
    /// <param name="run">The options that every measuring mode has.</param>
    /// <param name="context">Ends the run early.</param>
    public SplitBench(string mode, IReadOnlyList<IReadOnlyList<string>> shares, RunOptions run, RunContext context)
    {
        _context = context;
        _workers = [.. shares.Select(share => new WorkerProcess([BenchCommand.WorkerWord, mode, .. share]))];
        _watch = new ProcessWatch([.. _workers.Select(worker => worker.ProcessId)], run.Watch, () => _workers.Sum(worker => worker.Clients));
        Report = new BenchReport(mode, _problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    /// <inheritdoc/>
    public bool Run()
    {
        using (new Progress(Describe, () => _problems.Total + _workers.Sum(worker => worker.Problems)))
        {
            long stopped = 0;
            while (_workers.Any(worker => !worker.HasEnded))
            {
                Thread.Sleep(Step);
                if (_workers.All(worker => worker.HasEnded || worker.IsWaiting) && _workers.FirstOrDefault(worker => worker.IsWaiting) is { } waiting)
                {
                    _watch.Mark(waiting.Phase);
                    foreach (WorkerProcess worker in _workers) worker.Continue();
                }

                if (!_context.IsStopped) continue;
                if (stopped == 0) stopped = Stopwatch.GetTimestamp();
                foreach (WorkerProcess worker in _workers) worker.Stop(kill: Stopwatch.GetElapsedTime(stopped) > LastWait);
            }
        }

        _watch.Dispose();
        bool well = !_context.IsStopped;
        foreach (WorkerProcess worker in _workers)
        {
            if (worker.Report is { } report) well &= Report.Merge(report);
            else _problems.Add("a process of the run ended without results");
        }

        return well && _problems.Total == 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        foreach (WorkerProcess worker in _workers) worker.Dispose();
    }

    /// <summary>The number of processes that connections need, when each may have so many descriptors.</summary>
    public static int ProcessesFor(int connections, ulong descriptors)
    {
        long each = Math.Max(1, (long)Math.Min(descriptors, int.MaxValue) - TcpClients.OtherDescriptors);
        return (int)((connections + each - 1) / each);
    }

    /// <summary>The share of one worker, when a number is divided as evenly as possible.</summary>
    public static int ShareOf(int number, int worker, int workers) => Before(number, worker + 1, workers) - Before(number, worker, workers);

    /// <summary>The shares of all workers before one, added up.</summary>
    public static int Before(int number, int worker, int workers) => (int)((long)number * worker / workers);

    /// <summary>An option whose value is one worker's share of a rate.</summary>
    public static string RateOf(string option, double rate, int workers) =>
        string.Create(CultureInfo.InvariantCulture, $"--{option}={Math.Max(0.001, rate / workers):0.######}");

    private (string What, long Done, long Total) Describe()
    {
        // Seconds pass for all of them together; everything else adds up.
        WorkerProcess first = _workers[0];
        bool time = first.What.EndsWith(Progress.InSeconds, StringComparison.Ordinal);
        return time
            ? (first.What, first.Done, first.Total)
            : ($"{first.What} in {_workers.Length} processes", _workers.Sum(worker => worker.Done), _workers.Sum(worker => worker.Total));
    }
}
