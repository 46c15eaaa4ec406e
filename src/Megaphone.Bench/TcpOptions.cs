using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>How TCP connections are opened.</summary>
internal sealed record TcpOptions
{
    private static readonly BenchOption ToOption = new("to", "HOST:PORT", null, "where to connect to", Required: true);
    private static readonly BenchOption FromOption = new(
        "from", "ADDRESS[/BITS]", null, "addresses to connect from, in turn, so that ports do not run out; on loopback 127.64.0.0/10");
    private static readonly BenchOption ReactorsOption = new("reactors", "N", "1", "threads that receive");
    private static readonly BenchOption ProcessesOption = new(
        "processes", "N", null, "processes that share the connections; default: as many as the limit of descriptors demands");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [ToOption, FromOption, ReactorsOption, ProcessesOption, .. TlsClientOptions.All];

    /// <summary>Where connections go.</summary>
    public required HostPort To { get; init; }

    /// <summary>Where they come from; null: the kernel chooses.</summary>
    public required SourceAddresses? From { get; init; }

    /// <summary>Threads that receive.</summary>
    public required int Reactors { get; init; }

    /// <summary>The processes that were asked for; 0: as many as the limit of descriptors demands.</summary>
    public required int Processes { get; init; }

    /// <summary>Their TLS; null: none.</summary>
    public required TlsClientOptions? Tls { get; init; }

    /// <summary>The number of processes to split a run over.</summary>
    /// <param name="connections">The connections of all of them together.</param>
    /// <param name="context">Where a worker is not split again.</param>
    public int ProcessesFor(int connections, RunContext context)
    {
        if (context.Worker is not null) return 1;
        int workers = Processes > 0 ? Processes : SplitBench.ProcessesFor(connections, OpenFileLimit.RaiseToHard());
        return Math.Min(workers, connections);
    }

    /// <summary>Reads the options.</summary>
    /// <param name="values">The options that were given.</param>
    /// <param name="isSecured">Whether there is TLS from the beginning unless these options say how.</param>
    public static TcpOptions Read(OptionValues values, bool isSecured = false)
    {
        HostPort to = values.Get(ToOption, ValueFormats.Target)!;
        return new TcpOptions
        {
            To = to,
            From = values.Get(FromOption, BenchFormats.Sources),
            Processes = values.Get(ProcessesOption, ValueFormats.Number(1, 1000, 6)),
            Reactors = values.Get(ReactorsOption, ValueFormats.Number(1, 64, 2)),
            Tls = TlsClientOptions.Read(values, to, isSecured),
        };
    }
}
