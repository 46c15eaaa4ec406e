using Megaphone.Protocol;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench flood</c>.</summary>
internal sealed record FloodBenchOptions
{
    private static readonly BenchOption ToOption = new("to", "HOST:PORT", null, "a hub with the backend echo:, or bench echo-server", Required: true);
    private static readonly BenchOption ClientsOption = new(BenchOption.Clients, "N", "1000", "sessions that send in turn, 1 to 4096");
    private static readonly BenchOption BytesOption = new("bytes", "N", "64", "length of a packet, its header of 32 bytes included");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
        [ToOption, ClientsOption, BytesOption, .. CountedTime.All, .. RunOptions.All];

    /// <summary>Where the link goes.</summary>
    public required HostPort To { get; init; }

    /// <summary>How many sessions send, in turn.</summary>
    public required int Sessions { get; init; }

    /// <summary>Bytes of a packet, header included.</summary>
    public required int PacketBytes { get; init; }

    /// <summary>When packets are counted.</summary>
    public required CountedTime Time { get; init; }

    /// <summary>The options that every measuring mode has.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static FloodBenchOptions Read(OptionValues values) => new()
    {
        To = values.Get(ToOption, ValueFormats.Target)!,
        Sessions = values.Get(ClientsOption, ValueFormats.Number(1, 4096, 1000)),

        // An empty packet would end its session.
        PacketBytes = values.Get(BytesOption, ValueFormats.Number(PacketHeader.Size + 1, 65_536, 1024)),
        Time = CountedTime.Read(values),
        Run = RunOptions.Read(values),
    };
}
