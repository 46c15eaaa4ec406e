namespace Megaphone.Bench;

/// <summary>One mode of <c>megaphone bench</c>.</summary>
/// <param name="Name">The word that stands behind <c>bench</c>.</param>
/// <param name="Purpose">What it is for, in one line.</param>
/// <param name="Options">Its options, in the order of the help.</param>
/// <param name="Read">Reads them; what it returns makes the run, and only counts when there was no problem.</param>
internal sealed record BenchMode(
    string Name,
    string Purpose,
    IReadOnlyList<BenchOption> Options,
    Func<OptionValues, (RunOptions Run, Func<RunContext, IBench> Make)> Read)
{
    /// <summary>All modes.</summary>
    public static IReadOnlyList<BenchMode> All { get; } =
    [
        new("connect", "open connections and hold them", ConnectBenchOptions.All, values =>
        {
            ConnectBenchOptions options = ConnectBenchOptions.Read(values);
            return (options.Run, context =>
                options.Tcp.PartsFor(options.Connections, context) is > 1 and int parts
                    ? values.Split(parts, part => options.ShareOf(part, parts), options.Run, context)
                    : new ConnectBench(options, context));
        }),
        new("echo", "send messages to an echo, one after the other or at a fixed rate", EchoBenchOptions.All, values =>
        {
            EchoBenchOptions options = EchoBenchOptions.Read(values);
            return (options.Run, context =>
                options.Tcp.PartsFor(options.Connections, context) is > 1 and int parts
                    ? values.Split(parts, part => options.ShareOf(part, parts), options.Run, context)
                    : new EchoBench(options, context));
        }),
        new("xmpp", "play XMPP clients, each with a connection of its own", XmppBenchOptions.All, values =>
        {
            XmppBenchOptions options = XmppBenchOptions.Read(values);
            return (options.Run, context =>
                options.Tcp.PartsFor(options.Play.Sessions, context) is > 1 and int parts
                    ? values.Split(parts, part => options.Play.ShareOf(part, parts), options.Run, context)
                    : new XmppBench("xmpp", options.Play, options.Run, play => new TcpWire(options.Tcp, play), context));
        }),
        new("link", "play an ECM: XMPP clients over links, without a descriptor for each", LinkBenchOptions.All, values =>
        {
            LinkBenchOptions options = LinkBenchOptions.Read(values);
            return (options.Run, context => new XmppBench("link", options.Play, options.Run, play => new LinkWire(options, play), context));
        }),
    ];

    /// <summary>The mode of this name; null when there is none.</summary>
    public static BenchMode? Find(string name) => All.FirstOrDefault(mode => mode.Name == name);
}
