using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench connect</c>.</summary>
internal sealed record ConnectBenchOptions : TcpBenchOptions
{
    private static readonly BenchOption ConnectionsOption = new(BenchOption.Clients, "N", null, "connections to open", Required: true);
    private static readonly BenchOption RateOption = new(
        RateName, "PER_SECOND", null, "connections begun per second; default: as fast as they are accepted");
    private static readonly BenchOption SayOption = new(
        "say", "BYTES", "0", "bytes that each sends once, so that an ECM opens a session for it");
    private static readonly BenchOption HearOption = new(
        "hear", "BYTES", "0", "bytes that each must receive before the hold begins: as many as it sends, where an echo answers");
    private static readonly BenchOption HoldOption = new("hold", "SECONDS", "0", "time to hold them");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
        [.. TcpOptions.All, ConnectionsOption, RateOption, SayOption, HearOption, HoldOption, .. RunOptions.All];

    /// <summary>Bytes that each connection sends.</summary>
    public required int Say { get; init; }

    /// <summary>Bytes that each connection receives before the hold.</summary>
    public required int Hear { get; init; }

    /// <summary>How long the connections are held.</summary>
    public required TimeSpan Hold { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static ConnectBenchOptions Read(OptionValues values) => new()
    {
        Tcp = TcpOptions.Read(values),
        Connections = values.Get(ConnectionsOption, ValueFormats.Number(1, 16_000_000, 10_000)),
        Rate = values.Get(RateOption, BenchFormats.Rate),
        Say = values.Get(SayOption, ValueFormats.Number(0, 65_536, 1)),
        Hear = values.Get(HearOption, ValueFormats.Number(0, 65_536, 1)),
        Hold = values.Get(HoldOption, BenchFormats.Seconds),
        Run = RunOptions.Read(values),
    };
}
