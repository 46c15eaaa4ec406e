using Megaphone.Links;
using Megaphone.Service;

namespace Megaphone.Bench;

/// <summary>How connections are opened.</summary>
internal sealed record TcpOptions
{
    private static readonly BenchOption ToOption = new("to", "HOST:PORT", null, "where to connect to", Required: true);
    private static readonly BenchOption FromOption = new("from", "ADDRESS[/BITS]", null, "addresses to connect from, in turn, so that ports do not run out; on loopback 127.64.0.0/10");
    private static readonly BenchOption ReactorsOption = new("reactors", "N", "1", "threads that receive");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [ToOption, FromOption, ReactorsOption];

    /// <summary>Where connections go.</summary>
    public required HostPort To { get; init; }

    /// <summary>Where they come from; null: as the kernel likes.</summary>
    public required SourceAddresses? From { get; init; }

    /// <summary>Threads that receive.</summary>
    public required int Reactors { get; init; }

    /// <summary>Reads the options.</summary>
    public static TcpOptions Read(OptionValues values) => new()
    {
        To = values.Get(ToOption, ValueFormats.LinkTarget)!,
        From = values.Get(FromOption, BenchFormats.Sources),
        Reactors = values.Get(ReactorsOption, ValueFormats.Number(1, 64, 2)),
    };
}
