namespace Megaphone.Bench;

/// <summary>How long a run of even load lasts: first without being counted, then counted.</summary>
internal sealed record CountedTime
{
    private static readonly BenchOption WarmUpOption = new("warmup", "SECONDS", "1", "time before anything is counted");
    private static readonly BenchOption SecondsOption = new("seconds", "SECONDS", "10", "time that is counted");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [WarmUpOption, SecondsOption];

    /// <summary>How long nothing is counted.</summary>
    public required TimeSpan WarmUp { get; init; }

    /// <summary>How long it is counted.</summary>
    public required TimeSpan Counted { get; init; }

    /// <summary>Reads the options.</summary>
    public static CountedTime Read(OptionValues values) => new()
    {
        WarmUp = values.Get(WarmUpOption, BenchFormats.Seconds),
        Counted = values.Get(SecondsOption, BenchFormats.Seconds),
    };
}
