namespace Megaphone.Bench;

/// <summary>How long a steady load lasts: a warm-up that is not counted, and what is.</summary>
internal sealed record CountedTime
{
    private static readonly BenchOption WarmUpOption = new("warmup", "SECONDS", "1", "time before anything is counted");
    private static readonly BenchOption SecondsOption = new("seconds", "SECONDS", "10", "time that is counted");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [WarmUpOption, SecondsOption];

    /// <summary>The time before anything is counted.</summary>
    public required TimeSpan WarmUp { get; init; }

    /// <summary>The time that is counted.</summary>
    public required TimeSpan Counted { get; init; }

    /// <summary>Reads the options.</summary>
    public static CountedTime Read(OptionValues values) => new()
    {
        WarmUp = values.Get(WarmUpOption, BenchFormats.Seconds),
        Counted = values.Get(SecondsOption, BenchFormats.Seconds),
    };
}
