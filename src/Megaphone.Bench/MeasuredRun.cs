using Megaphone.Links;

namespace Megaphone.Bench;

/// <summary>One run of a mode that measures, from its beginning to its report.</summary>
internal static class MeasuredRun
{
    private const string StandardOutput = "-";

    /// <summary>Runs it.</summary>
    /// <param name="options">Where the results go.</param>
    /// <param name="make">Makes what is run.</param>
    /// <param name="part">This process's side of a run that is split over several; null: it is the whole run.</param>
    /// <returns>Whether everything went well.</returns>
    /// <exception cref="IOException">It could not begin, or the results could not be written.</exception>
    public static bool Run(RunOptions options, Func<RunContext, IBench> make, PartSide? part)
    {
        InlineCompletions.SwitchOn();
        using Interruption interruption = new();
        using IBench bench = make(new RunContext(interruption, part));
        bool well = bench.Run();
        if (part is not null)
        {
            PartSide.TellReport(bench.Report, well);
            return well;
        }

        if (options.Json != StandardOutput) bench.Report.WriteTable(Console.Out);
        if (options.Json is { } file) WriteJson(bench.Report, file);
        if (options.Svg is { } picture) File.WriteAllText(picture, bench.Report.ToSvg());
        return well;
    }

    private static void WriteJson(BenchReport report, string file)
    {
        using Stream to = file == StandardOutput ? Console.OpenStandardOutput() : File.Create(file);
        report.WriteJson(to);
        to.WriteByte((byte)'\n');
    }
}
