namespace Megaphone.Bench;

/// <summary>One mode of <c>megaphone bench</c>.</summary>
/// <param name="Name">The word that stands behind <c>bench</c>.</param>
/// <param name="Purpose">What it is for, in one line.</param>
/// <param name="Options">Its options, in the order of the help.</param>
/// <param name="Read">Reads them; what it returns does what the mode is for, and only counts when there was no problem.</param>
internal sealed record BenchMode(string Name, string Purpose, IReadOnlyList<BenchOption> Options, Func<OptionValues, BenchMode.Act> Read)
{
    /// <summary>Does what a mode is for.</summary>
    /// <param name="part">This process's side of a run that is split over several; null: it is the whole run.</param>
    /// <returns>Whether everything went well.</returns>
    /// <exception cref="IOException">It could not begin.</exception>
    public delegate bool Act(PartSide? part);

    /// <summary>All modes.</summary>
    public static IReadOnlyList<BenchMode> All { get; } =
    [
        new("connect", "open connections and hold them", ConnectBenchOptions.All, values =>
        {
            ConnectBenchOptions options = ConnectBenchOptions.Read(values);
            return Measure(values, options, context => new ConnectBench(options, context));
        }),
        new("echo", "send messages to an echo, one after the other or at a fixed rate", EchoBenchOptions.All, values =>
        {
            EchoBenchOptions options = EchoBenchOptions.Read(values);
            return Measure(values, options, context => new EchoBench(options, context));
        }),
        new("xmpp", "play XMPP clients, each with a connection of its own", XmppBenchOptions.All, values =>
        {
            XmppBenchOptions options = XmppBenchOptions.Read(values);
            return Measure(
                values, options.Tcp, options.Play.Sessions, options.Play.ShareOf, options.Run,
                context => new XmppBench("xmpp", options.Play, options.Run, play => new TcpWire(options.Tcp, play), context));
        }),
        new("link", "play an ECM: XMPP clients over links, without a descriptor for each", LinkBenchOptions.All, values =>
        {
            LinkBenchOptions options = LinkBenchOptions.Read(values);
            return Measure(options.Run, context => new XmppBench("link", options.Play, options.Run, play => new LinkWire(options, play), context));
        }),
        new("flood", "play an ECM that fills a link with packets, in front of an echo", FloodBenchOptions.All, values =>
        {
            FloodBenchOptions options = FloodBenchOptions.Read(values);
            return Measure(options.Run, context => new FloodBench(options, context));
        }),
        new("echo-server", "send back whatever comes, to connections or to a link", EchoServerOptions.All, values =>
        {
            EchoServerOptions options = EchoServerOptions.Read(values);
            return _ => EchoServer.Run(options);
        }),
        new("chart", "draw curves over a logarithmic axis, as those of docs/benchmarks.md", ChartOptions.All, values =>
        {
            ChartOptions options = ChartOptions.Read(values);
            return _ => ChartFile.Draw(options);
        }),
    ];

    /// <summary>The mode of this name; null when there is none.</summary>
    public static BenchMode? Find(string name) => All.FirstOrDefault(mode => mode.Name == name);

    private static Act Measure(RunOptions run, Func<RunContext, IBench> make) => part => MeasuredRun.Run(run, make, part);

    private static Act Measure(OptionValues values, TcpBenchOptions options, Func<RunContext, IBench> make) =>
        Measure(values, options.Tcp, options.Connections, options.ShareOf, options.Run, make);

    /// <summary>For connections, which one process may not have enough descriptors for.</summary>
    private static Act Measure(
        OptionValues values, TcpOptions tcp, int connections, Func<int, int, IEnumerable<string>> shareOf, RunOptions run, Func<RunContext, IBench> make) =>
        Measure(run, context => tcp.PartsFor(connections, context) is > 1 and int parts
            ? values.Split(parts, part => shareOf(part, parts), run, context)
            : make(context));
}
