using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench echo</c>.</summary>
internal sealed record EchoBenchOptions : TcpBenchOptions
{
    private static readonly BenchOption ConnectionsOption = new(BenchOption.Clients, "N", "1000", "connections that send");
    private static readonly BenchOption BytesOption = new("bytes", "N", "200", "length of a message");
    private static readonly BenchOption RateOption = new(
        RateName, "PER_SECOND", null, "messages per second, of all connections together; default: each sends when its last one is back");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
        [.. TcpOptions.All, ConnectionsOption, BytesOption, RateOption, .. CountedTime.All, .. RunOptions.All];

    /// <summary>Bytes of a message.</summary>
    public required int Bytes { get; init; }

    /// <summary>When messages are counted.</summary>
    public required CountedTime Time { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static EchoBenchOptions Read(OptionValues values) => new()
    {
        Tcp = TcpOptions.Read(values),
        Connections = values.Get(ConnectionsOption, ValueFormats.Number(1, 16_000_000, 10_000)),
        Bytes = values.Get(BytesOption, ValueFormats.Number(1, 65_536, 200)),
        Rate = values.Get(RateOption, BenchFormats.Rate),
        Time = CountedTime.Read(values),
        Run = RunOptions.Read(values),
    };
}
