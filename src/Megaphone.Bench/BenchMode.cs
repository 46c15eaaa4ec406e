namespace Megaphone.Bench;

/// <summary>One mode of <c>megaphone bench</c>.</summary>
/// <param name="Name">The word after <c>bench</c>.</param>
/// <param name="Purpose">What it does, in one line.</param>
/// <param name="Options">Its options, in the order of the help.</param>
/// <param name="Read">Reads the options. What it returns runs the mode, and only counts when no problem was added.</param>
internal sealed record BenchMode(string Name, string Purpose, IReadOnlyList<BenchOption> Options, Func<OptionValues, BenchMode.Act> Read)
{
    /// <summary>Runs a mode.</summary>
    /// <param name="worker">The channel to the process that split the run; null: this process is the whole run.</param>
    /// <returns>Whether it succeeded.</returns>
    /// <exception cref="IOException">It could not start.</exception>
    public delegate bool Act(WorkerChannel? worker);

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
        new("xmpp", "play XMPP clients, each on a connection of its own", XmppBenchOptions.All, values =>
        {
            XmppBenchOptions options = XmppBenchOptions.Read(values);
            IXmppTransport Carry(XmppClients clients) =>
                options.WebPath is null ? new TcpTransport(options.Tcp, clients) : new WebTransport(options, clients);
            return Measure(
                values, options.Tcp, options.Clients.Sessions, options.Clients.ShareOf, options.Run,
                context => new XmppBench("xmpp", options.Clients, options.Run, Carry, context));
        }),
        new("link", "play an ECM: XMPP clients over links, which take no descriptor each", LinkBenchOptions.All, values =>
        {
            LinkBenchOptions options = LinkBenchOptions.Read(values);
            return Measure(
                options.Run,
                context => new XmppBench("link", options.Clients, options.Run, clients => new LinkTransport(options, clients), context));
        }),
        new("flood", "play an ECM that fills a link to an echo with packets", FloodBenchOptions.All, values =>
        {
            FloodBenchOptions options = FloodBenchOptions.Read(values);
            return Measure(options.Run, context => new FloodBench(options, context));
        }),
        new("echo-server", "send back whatever connections, or a link, send", EchoServerOptions.All, values =>
        {
            EchoServerOptions options = EchoServerOptions.Read(values);
            return _ => EchoServer.Run(options);
        }),
        new("chart", "draw curves over a logarithmic axis, or bars, as in docs/benchmarks.md", ChartOptions.All, values =>
        {
            ChartOptions options = ChartOptions.Read(values);
            return _ => ChartFile.Draw(options);
        }),
    ];

    /// <summary>The mode of this name; null when there is none.</summary>
    public static BenchMode? Find(string name) => All.FirstOrDefault(mode => mode.Name == name);

    private static Act Measure(RunOptions run, Func<RunContext, IBench> make) => worker => MeasuredRun.Run(run, make, worker);

    private static Act Measure(OptionValues values, TcpBenchOptions options, Func<RunContext, IBench> make) =>
        Measure(values, options.Tcp, options.Connections, options.ShareOf, options.Run, make);

    /// <summary>Splits the run where one process may not have enough descriptors for all connections.</summary>
    private static Act Measure(
        OptionValues values,
        TcpOptions tcp,
        int connections,
        Func<int, int, IEnumerable<string>> shareOf,
        RunOptions run,
        Func<RunContext, IBench> make) =>
        Measure(run, context => tcp.ProcessesFor(connections, context) is > 1 and int workers
            ? values.Split(workers, worker => shareOf(worker, workers), run, context)
            : make(context));
}
