using System.Globalization;

namespace Megaphone.Bench;

/// <summary>
/// A worker's channel to the process that split the run. The worker reports on standard output, and begins each phase when standard
/// input says so: all workers hold their clients at the same time.
/// </summary>
/// <remarks>
/// <code>
/// progress DONE TOTAL PROBLEMS CLIENTS WHAT      now and then
/// phase CLIENTS NAME                             a phase has ended; the worker waits for an empty line
/// report JSON                                    the last line
/// </code>
/// </remarks>
internal sealed class WorkerChannel
{
    /// <summary>The first word of each kind of line.</summary>
    public const string ProgressWord = "progress", PhaseWord = "phase", ReportWord = "report";

    private int _passed;
    private int _released;
    private volatile bool _orphan;

    /// <summary>Begins to read standard input.</summary>
    public WorkerChannel() => new Thread(Listen) { Name = "bench worker", IsBackground = true }.Start();

    /// <summary>Whether the process that split the run is gone.</summary>
    public bool IsOrphan => _orphan;

    /// <summary>Whether the next phase may begin.</summary>
    public bool MayContinue => Volatile.Read(ref _released) >= _passed;

    /// <summary>Counts the clients of this worker.</summary>
    public Func<long> Clients { get; set; } = () => 0;

    /// <summary>Reports the end of a phase; the next one begins when <see cref="MayContinue"/>.</summary>
    public void EndPhase(string phase)
    {
        _passed++;
        WriteLine($"{PhaseWord} {Clients()} {phase}");
    }

    /// <summary>Reports the progress.</summary>
    public void SendProgress(string what, long done, long total, long problems) =>
        WriteLine($"{ProgressWord} {done} {total} {problems} {Clients()} {what}");

    /// <summary>Reports the results.</summary>
    public static void SendReport(BenchReport report, bool well) => WriteLine($"{ReportWord} {report.ToWorkerReport(well)}");

    private static void WriteLine(FormattableString line) => Console.Out.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private void Listen()
    {
        while (Console.In.ReadLine() is not null) Interlocked.Increment(ref _released);
        _orphan = true;
    }
}
