namespace Megaphone.Bench;

/// <summary>The options of every mode that measures: what to watch, how long to wait, and where results go.</summary>
internal sealed record RunOptions
{
    private static readonly BenchOption PatienceOption = new(
        "patience", "SECONDS", "30", "time without progress after which a phase is given up");
    private static readonly BenchOption AfterOption = new("after", "SECONDS", "0", "time to go on watching the processes after the end");
    private static readonly BenchOption WatchOption = new(
        "watch", "PID[,PID]", null, "processes whose memory and CPU time are reported for each phase");
    private static readonly BenchOption JsonOption = new(
        "json", "FILE", null, "file for the results as JSON; - for standard output, in place of the table");
    private static readonly BenchOption SvgOption = new(
        "svg", "FILE", null, "file for a picture of the latencies, and of memory over time");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [PatienceOption, AfterOption, WatchOption, JsonOption, SvgOption];

    /// <summary>How long a phase may go on without progress.</summary>
    public required TimeSpan Patience { get; init; }

    /// <summary>How long processes are watched after the end.</summary>
    public required TimeSpan After { get; init; }

    /// <summary>Ids of the processes that are watched.</summary>
    public required int[] Watch { get; init; }

    /// <summary>The file for the results; null: none.</summary>
    public required string? Json { get; init; }

    /// <summary>The file for the picture; null: none.</summary>
    public required string? Svg { get; init; }

    /// <summary>All options of the mode, with the values that they have.</summary>
    public required IReadOnlyDictionary<string, string> InForce { get; init; }

    /// <summary>Reads the options.</summary>
    public static RunOptions Read(OptionValues values) => new()
    {
        Patience = values.Get(PatienceOption, BenchFormats.Seconds),
        After = values.Get(AfterOption, BenchFormats.Seconds),
        Watch = values.Get(WatchOption, BenchFormats.Processes) ?? [],
        Json = values.Get(JsonOption, BenchFormats.File),
        Svg = values.Get(SvgOption, BenchFormats.File),
        InForce = values.InForce,
    };
}
