using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>What <c>megaphone bench connect</c> was asked to do.</summary>
internal sealed record ConnectBenchOptions
{
    private static readonly BenchOption ConnectionsOption = new("connections", "N", null, "connections to open", Required: true);
    private static readonly BenchOption RateOption = new(
        "rate", "PER_SECOND", null, "connections begun per second; default: as fast as they are accepted");
    private static readonly BenchOption SayOption = new(
        "say", "BYTES", "0", "what each says once, so that an ECM opens a session for it");
    private static readonly BenchOption HoldOption = new("hold", "SECONDS", "0", "time to hold them");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
        [.. TcpOptions.All, ConnectionsOption, RateOption, SayOption, HoldOption, .. RunOptions.All];

    /// <summary>Where they go, and come from.</summary>
    public required TcpOptions Tcp { get; init; }

    /// <summary>How many.</summary>
    public required int Connections { get; init; }

    /// <summary>Per second; 0: as fast as they are accepted.</summary>
    public required double Rate { get; init; }

    /// <summary>Bytes that each says.</summary>
    public required int Say { get; init; }

    /// <summary>How long they are held.</summary>
    public required TimeSpan Hold { get; init; }

    /// <summary>What every mode is told.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>The share of one process among several, as options.</summary>
    public IEnumerable<string> ShareOf(int part, int parts)
    {
        yield return $"--{ConnectionsOption.Name}={SplitBench.ShareOf(Connections, part, parts)}";
        if (Rate > 0) yield return SplitBench.RateOf(RateOption.Name, Rate, parts);
    }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static ConnectBenchOptions Read(OptionValues values) => new()
    {
        Tcp = TcpOptions.Read(values),
        Connections = values.Get(ConnectionsOption, ValueFormats.Number(1, 16_000_000, 10_000)),
        Rate = values.Get(RateOption, BenchFormats.Rate),
        Say = values.Get(SayOption, ValueFormats.Number(0, 65_536, 1)),
        Hold = values.Get(HoldOption, BenchFormats.Seconds),
        Run = RunOptions.Read(values),
    };
}
