using Megaphone.Links;

namespace Megaphone.Bench;

/// <summary>Runs a mode that measures, and delivers its report.</summary>
internal static class MeasuredRun
{
    private const string StandardOutput = "-";

    /// <summary>Runs the mode.</summary>
    /// <param name="options">Where the results go.</param>
    /// <param name="make">Makes the run.</param>
    /// <param name="worker">The channel to the process that split the run; null: this process is the whole run.</param>
    /// <returns>Whether it succeeded.</returns>
    /// <exception cref="IOException">It could not start, or the results could not be written.</exception>
    public static bool Run(RunOptions options, Func<RunContext, IBench> make, WorkerChannel? worker)
    {
        InlineCompletions.Enable();
        using StopSignal stopSignal = new();
        RunDescription run = new(DateTime.UtcNow, options.InForce);
        using IBench bench = make(new RunContext(stopSignal, worker));
        bool well = bench.Run();
        if (worker is not null)
        {
            WorkerChannel.SendReport(bench.Report, well);
            return well;
        }

        if (options.Json != StandardOutput) bench.Report.WriteTable(Console.Out);
        if (options.Json is { } file) WriteJson(bench.Report, run, file);
        if (options.Svg is { } picture) File.WriteAllText(picture, bench.Report.ToSvg(run));
        return well;
    }

    private static void WriteJson(BenchReport report, RunDescription run, string file)
    {
        using Stream to = file == StandardOutput ? Console.OpenStandardOutput() : File.Create(file);
        report.WriteJson(to, run);
        to.WriteByte((byte)'\n');
    }
}
