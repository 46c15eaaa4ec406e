using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Bench;

/// <summary>A run that is split over several processes, each of which opens its share of the connections.</summary>
/// <remarks>They go through the phases together: when all have ended one, all begin the next.</remarks>
internal sealed class SplitBench : IBench
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LastWait = TimeSpan.FromMinutes(1);

    private readonly RunContext _context;
    private readonly Tally _problems = new();
    private readonly SplitPart[] _parts;
    private readonly ProcessWatch _watch;

    /// <summary>Makes the parts; no process is started yet.</summary>
    /// <param name="mode">The mode's name.</param>
    /// <param name="shares">The arguments of each part, behind the mode.</param>
    /// <param name="run">What every mode is told.</param>
    /// <param name="context">Ends it early.</param>
    public SplitBench(string mode, IReadOnlyList<IReadOnlyList<string>> shares, RunOptions run, RunContext context)
    {
        _context = context;
        _parts = [.. shares.Select(share => new SplitPart([BenchCommand.PartWord, mode, .. share]))];
        _watch = new ProcessWatch([.. _parts.Select(part => part.ProcessId)], run.Watch, () => _parts.Sum(part => part.Clients));
        Report = new BenchReport(mode, _problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    /// <inheritdoc/>
    public bool Run()
    {
        using (new Progress(Describe, () => _problems.Total + _parts.Sum(part => part.Problems)))
        {
            long stopped = 0;
            while (_parts.Any(part => !part.HasEnded))
            {
                Thread.Sleep(Step);
                if (_parts.All(part => part.HasEnded || part.Waits) && _parts.FirstOrDefault(part => part.Waits) is { } waiting)
                {
                    _watch.Mark(waiting.Phase);
                    foreach (SplitPart part in _parts) part.GoOn();
                }

                if (!_context.Stopped) continue;
                if (stopped == 0) stopped = Stopwatch.GetTimestamp();
                foreach (SplitPart part in _parts) part.Stop(kill: Stopwatch.GetElapsedTime(stopped) > LastWait);
            }
        }

        _watch.Dispose();
        bool well = !_context.Stopped;
        foreach (SplitPart part in _parts)
        {
            if (part.Report is { } report) well &= Report.Merge(report);
            else _problems.Add("a process of the run came to no result");
        }

        return well && _problems.Total == 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        foreach (SplitPart part in _parts) part.Dispose();
    }

    /// <summary>How many processes are needed for so many connections, if each may have so many descriptors.</summary>
    public static int PartsFor(int connections, ulong descriptors)
    {
        long each = Math.Max(1, (long)Math.Min(descriptors, int.MaxValue) - TcpClients.OtherDescriptors);
        return (int)((connections + each - 1) / each);
    }

    /// <summary>The share of one part, when a number is divided as evenly as it goes.</summary>
    public static int ShareOf(int number, int part, int parts) => Before(number, part + 1, parts) - Before(number, part, parts);

    /// <summary>The shares of all parts before one.</summary>
    public static int Before(int number, int part, int parts) => (int)((long)number * part / parts);

    /// <summary>An option with the share of a rate.</summary>
    public static string RateOf(string option, double rate, int parts) =>
        string.Create(CultureInfo.InvariantCulture, $"--{option}={Math.Max(0.001, rate / parts):0.######}");

    private (string What, long Done, long Total) Describe()
    {
        // Seconds pass for all of them together; everything else adds up.
        SplitPart first = _parts[0];
        bool time = first.What.EndsWith(Progress.InSeconds, StringComparison.Ordinal);
        return time
            ? (first.What, first.Done, first.Total)
            : ($"{first.What} in {_parts.Length} processes", _parts.Sum(part => part.Done), _parts.Sum(part => part.Total));
    }
}
