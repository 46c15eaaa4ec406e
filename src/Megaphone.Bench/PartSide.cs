using System.Globalization;

namespace Megaphone.Bench;

/// <summary>
/// One process's side of a run that is split over several. It says on standard output how far it is, and goes on to the next
/// phase when it is told to on standard input, so that all processes hold their clients at the same time.
/// </summary>
/// <remarks>
/// <code>
/// progress DONE TOTAL PROBLEMS CLIENTS WHAT      now and then
/// phase CLIENTS NAME                             a phase has ended; it waits for an empty line
/// report JSON                                    the last line
/// </code>
/// </remarks>
internal sealed class PartSide
{
    /// <summary>What each kind of line begins with.</summary>
    public const string ProgressWord = "progress", PhaseWord = "phase", ReportWord = "report";

    private int _passed;
    private int _released;
    private volatile bool _orphan;

    /// <summary>Begins to listen.</summary>
    public PartSide() => new Thread(Listen) { Name = "bench part", IsBackground = true }.Start();

    /// <summary>Whether nobody is there any more to say what is to be done.</summary>
    public bool IsOrphan => _orphan;

    /// <summary>Whether the next phase may begin.</summary>
    public bool MayGoOn => Volatile.Read(ref _released) >= _passed;

    /// <summary>Tells how many clients there are.</summary>
    public Func<long> Clients { get; set; } = () => 0;

    /// <summary>Says that a phase has ended; it goes on when <see cref="MayGoOn"/>.</summary>
    public void Reach(string phase)
    {
        _passed++;
        Say($"{PhaseWord} {Clients()} {phase}");
    }

    /// <summary>Says how far it is.</summary>
    public void TellProgress(string what, long done, long total, long problems) =>
        Say($"{ProgressWord} {done} {total} {problems} {Clients()} {what}");

    /// <summary>Says what came out of it.</summary>
    public static void TellReport(BenchReport report, bool well) => Say($"{ReportWord} {report.ToPart(well)}");

    private static void Say(FormattableString line) => Console.Out.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private void Listen()
    {
        while (Console.In.ReadLine() is not null) Interlocked.Increment(ref _released);
        _orphan = true;
    }
}
