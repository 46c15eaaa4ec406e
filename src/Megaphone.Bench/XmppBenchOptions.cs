namespace Megaphone.Bench;

/// <summary>What <c>megaphone bench xmpp</c> was asked to do.</summary>
internal sealed record XmppBenchOptions
{
    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [.. TcpOptions.All, .. PlayOptions.All, .. RunOptions.All];

    /// <summary>Where connections go, and come from.</summary>
    public required TcpOptions Tcp { get; init; }

    /// <summary>What the clients do.</summary>
    public required PlayOptions Play { get; init; }

    /// <summary>What every mode is told.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static XmppBenchOptions Read(OptionValues values) => new()
    {
        Tcp = TcpOptions.Read(values),
        Play = PlayOptions.Read(values, carriesWhiteSpace: true),
        Run = RunOptions.Read(values),
    };
}
