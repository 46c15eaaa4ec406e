using System.Net;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench echo-server</c>.</summary>
internal sealed record EchoServerOptions
{
    private static readonly BenchOption ListenOption = new("listen", "ADDRESS:PORT", null, "where to listen; port 0 for any", Required: true);
    private static readonly BenchOption CongestionOption = new(
        "congestion", "NAME", null, "the congestion control of its connections, such as reno; default: the system's");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [ListenOption, CongestionOption];

    /// <summary>Where it listens.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>TCP_CONGESTION of its connections; null: the system's own.</summary>
    public required string? Congestion { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static EchoServerOptions Read(OptionValues values)
    {
        HostPort? listen = values.Get(ListenOption, ValueFormats.Target);
        if (listen is { Address: null }) values.Refuse(ListenOption, "must be an address of this machine, not a name", "for example 127.0.0.1:7000");
        return new()
        {
            Listen = new IPEndPoint(listen?.Address ?? IPAddress.Loopback, listen?.Port ?? 0),
            Congestion = values.Get(CongestionOption, BenchFormats.Congestion),
        };
    }
}
