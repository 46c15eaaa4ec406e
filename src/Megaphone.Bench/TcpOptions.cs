using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>How connections are opened.</summary>
internal sealed record TcpOptions
{
    private static readonly BenchOption ToOption = new("to", "HOST:PORT", null, "where to connect to", Required: true);
    private static readonly BenchOption FromOption = new(
        "from", "ADDRESS[/BITS]", null, "addresses to connect from, in turn, so that ports do not run out; on loopback 127.64.0.0/10");
    private static readonly BenchOption ReactorsOption = new("reactors", "N", "1", "threads that receive");
    private static readonly BenchOption ProcessesOption = new(
        "processes", "N", null, "processes to spread them over; default: as many as the limit of descriptors demands");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [ToOption, FromOption, ReactorsOption, ProcessesOption];

    /// <summary>Where connections go.</summary>
    public required HostPort To { get; init; }

    /// <summary>Where they come from; null: as the kernel likes.</summary>
    public required SourceAddresses? From { get; init; }

    /// <summary>Threads that receive.</summary>
    public required int Reactors { get; init; }

    /// <summary>Processes that are asked for; 0: as many as descriptors demand.</summary>
    public required int Processes { get; init; }

    /// <summary>How many processes there are to be.</summary>
    /// <param name="connections">For so many connections.</param>
    /// <param name="context">A part of a split run is not split again.</param>
    public int PartsFor(int connections, RunContext context)
    {
        if (context.Part is not null) return 1;
        int parts = Processes > 0 ? Processes : SplitBench.PartsFor(connections, OpenFileLimit.RaiseToHard());
        return Math.Min(parts, connections);
    }

    /// <summary>Reads the options.</summary>
    public static TcpOptions Read(OptionValues values) => new()
    {
        To = values.Get(ToOption, ValueFormats.Target)!,
        From = values.Get(FromOption, BenchFormats.Sources),
        Processes = values.Get(ProcessesOption, ValueFormats.Number(1, 1000, 6)),
        Reactors = values.Get(ReactorsOption, ValueFormats.Number(1, 64, 2)),
    };
}
