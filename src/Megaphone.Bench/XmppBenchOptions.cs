namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench xmpp</c>.</summary>
internal sealed record XmppBenchOptions
{
    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [.. TcpOptions.All, .. XmppClientOptions.All, .. RunOptions.All];

    /// <summary>Where connections go, and come from.</summary>
    public required TcpOptions Tcp { get; init; }

    /// <summary>What the clients do.</summary>
    public required XmppClientOptions Clients { get; init; }

    /// <summary>The options that every measuring mode has.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static XmppBenchOptions Read(OptionValues values) => new()
    {
        Tcp = TcpOptions.Read(values),
        Clients = XmppClientOptions.Read(values, carriesWhiteSpace: true),
        Run = RunOptions.Read(values),
    };
}
