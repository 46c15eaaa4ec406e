using Megaphone.Ecm;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench xmpp</c>.</summary>
internal sealed record XmppBenchOptions
{
    private const string DefaultPath = "/ws";

    private static readonly BenchOption WebOption = new(
        "web", "none|ws|wss", "none", "speak XMPP over WebSocket (RFC 7395); wss is with TLS, and takes its other options");
    private static readonly BenchOption PathOption = new("web-path", "PATH", null, $"path of the WebSocket; default {DefaultPath}");
    private static readonly BenchOption OpenAfterOption = new(
        "open-after", "SECONDS", "0", "time from a WebSocket's handshake to its <open/>, for servers that lose what comes at once");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
        [.. TcpOptions.All, WebOption, PathOption, OpenAfterOption, .. XmppClientOptions.All, .. RunOptions.All];

    /// <summary>Where connections go, and come from.</summary>
    public required TcpOptions Tcp { get; init; }

    /// <summary>The path of the WebSocket; null: clients speak XMPP over TCP.</summary>
    public required string? WebPath { get; init; }

    /// <summary>How long clients wait behind the handshake of a WebSocket.</summary>
    public required TimeSpan OpenAfter { get; init; }

    /// <summary>What the clients do.</summary>
    public required XmppClientOptions Clients { get; init; }

    /// <summary>The options that every measuring mode has.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static XmppBenchOptions Read(OptionValues values)
    {
        (bool isWeb, bool isSecured) = values.Get(
            WebOption, ValueFormats.Choice(("none", (IsWeb: false, IsSecured: false)), ("ws", (true, false)), ("wss", (true, true))));
        string? path = values.Get(PathOption, EcmFormats.UrlPath);
        TcpOptions tcp = TcpOptions.Read(values, isSecured);
        if (isWeb && !isSecured && tcp.Tls is not null) values.Refuse(WebOption, "is without TLS", "for example --web wss");
        if (isSecured && tcp.Tls!.IsNegotiated) values.Refuse(WebOption, "begins with TLS, and negotiates none", "for example --tls direct");
        TimeSpan openAfter = values.Get(OpenAfterOption, BenchFormats.Seconds);
        if (!isWeb && path is not null) RefuseWithoutWeb(PathOption);
        if (!isWeb && openAfter > TimeSpan.Zero) RefuseWithoutWeb(OpenAfterOption);
        return new XmppBenchOptions
        {
            Tcp = tcp,
            WebPath = isWeb ? path ?? DefaultPath : null,
            OpenAfter = openAfter,
            Clients = XmppClientOptions.Read(values, carriesWhiteSpace: true),
            Run = RunOptions.Read(values),
        };

        void RefuseWithoutWeb(BenchOption option) => values.Refuse(option, "means nothing without WebSocket", $"for example --{WebOption.Name} wss");
    }
}
