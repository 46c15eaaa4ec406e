using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>What <c>megaphone bench echo</c> was asked to do.</summary>
internal sealed record EchoBenchOptions
{
    private static readonly BenchOption ConnectionsOption = new("connections", "N", "1000", "connections that send");
    private static readonly BenchOption BytesOption = new("bytes", "N", "200", "length of a message");
    private static readonly BenchOption RateOption = new(
        "rate", "PER_SECOND", null, "messages per second, of all connections together; default: each sends when its last one is back");
    private static readonly BenchOption WarmUpOption = new("warmup", "SECONDS", "1", "time before anything is counted");
    private static readonly BenchOption SecondsOption = new("seconds", "SECONDS", "10", "time in which it is");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
        [.. TcpOptions.All, ConnectionsOption, BytesOption, RateOption, WarmUpOption, SecondsOption, .. RunOptions.All];

    /// <summary>Where they go, and come from.</summary>
    public required TcpOptions Tcp { get; init; }

    /// <summary>How many.</summary>
    public required int Connections { get; init; }

    /// <summary>Bytes of a message.</summary>
    public required int Bytes { get; init; }

    /// <summary>Messages per second; 0: closed loops.</summary>
    public required double Rate { get; init; }

    /// <summary>How long nothing is counted.</summary>
    public required TimeSpan WarmUp { get; init; }

    /// <summary>How long is counted.</summary>
    public required TimeSpan Time { get; init; }

    /// <summary>What every mode is told.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>The share of one process among several, as options.</summary>
    public IEnumerable<string> ShareOf(int part, int parts)
    {
        yield return $"--{ConnectionsOption.Name}={SplitBench.ShareOf(Connections, part, parts)}";
        if (Rate > 0) yield return SplitBench.RateOf(RateOption.Name, Rate, parts);
    }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static EchoBenchOptions Read(OptionValues values) => new()
    {
        Tcp = TcpOptions.Read(values),
        Connections = values.Get(ConnectionsOption, ValueFormats.Number(1, 16_000_000, 10_000)),
        Bytes = values.Get(BytesOption, ValueFormats.Number(1, 65_536, 200)),
        Rate = values.Get(RateOption, BenchFormats.Rate),
        WarmUp = values.Get(WarmUpOption, BenchFormats.Seconds),
        Time = values.Get(SecondsOption, BenchFormats.Seconds),
        Run = RunOptions.Read(values),
    };
}
