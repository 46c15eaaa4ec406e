using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Protocol;
using Megaphone.Service;

namespace Megaphone.Bench;

/// <summary>What <c>megaphone bench link</c> was asked to do.</summary>
internal sealed record LinkBenchOptions
{
    private static readonly BenchOption ToOption = new("to", "HOST:PORT", null, "the hub, or the server's own link listener", Required: true);
    private static readonly BenchOption SessionsOption = new("sessions", "N", null, "clients to play, 1 to 16,000,000", Required: true);
    private static readonly BenchOption LinksOption = new("links", "N", "1", "links to spread them over, 1 to 64");
    private static readonly BenchOption FramingOption = new("framing", "stanza|bytes", "stanza", "what packets carry: stanza for the ejabberd module, bytes for a hub");
    private static readonly BenchOption SecretOption = new("secret", "TEXT", null, "the links' shared secret");
    private static readonly BenchOption ProxyOption = new("proxy", "none|v1|v2", "none", "a PROXY header at the head of each session, with addresses from 10.0.0.0/8");
    private static readonly BenchOption LoginOption = new("login", "METHOD", "anonymous", "none, anonymous, plain, scram-sha-1 or scram-sha-256; none is for echo:");
    private static readonly BenchOption DomainOption = new("domain", "NAME", "localhost", "the server's domain");
    private static readonly BenchOption UserOption = new("user", "PATTERN", "user{0}", "accounts' names; {0} is the client's number, from 1 on");
    private static readonly BenchOption PasswordOption = new("password", "PATTERN", "pass{0}", "accounts' passwords");
    private static readonly BenchOption RateOption = new("rate", "LOGINS/S", null, "logins begun per second; default: as fast as they are answered");
    private static readonly BenchOption PendingOption = new("pending", "N", "500", "logins under way at the same time, at most");
    private static readonly BenchOption HoldOption = new("hold", "SECONDS", "0", "time to stay logged in and idle");
    private static readonly BenchOption KeepAlivesOption = new("keepalives", "PER_SECOND", null, "white space sent during that time, by all clients together; bytes only");
    private static readonly BenchOption MessagesOption = new("messages", "N", "0", "messages to send between random pairs of clients");
    private static readonly BenchOption MessageRateOption = new("message-rate", "PER_SECOND", "1000", "messages per second, of all clients together");
    private static readonly BenchOption MessageBytesOption = new("message-bytes", "N", "50", "length of each message's text");
    private static readonly BenchOption EndOption = new("end", "stream|cut", "stream", "close every stream in order, or just drop the links");
    private static readonly BenchOption AfterOption = new("after", "SECONDS", "0", "time to go on watching after the end");
    private static readonly BenchOption PatienceOption = new("patience", "SECONDS", "30", "a phase in which nothing happens for so long is given up");
    private static readonly BenchOption WatchOption = new("watch", "PID[,PID]", null, "processes whose memory and CPU are told for each phase");
    private static readonly BenchOption JsonOption = new("json", "FILE", null, "the result for machines; - for standard output, in place of the table");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
    [
        ToOption, SessionsOption, LinksOption, FramingOption, SecretOption, ProxyOption, LoginOption, DomainOption, UserOption, PasswordOption,
        RateOption, PendingOption, HoldOption, KeepAlivesOption, MessagesOption, MessageRateOption, MessageBytesOption, EndOption, AfterOption,
        PatienceOption, WatchOption, JsonOption,
    ];

    /// <summary>Where the links go.</summary>
    public required HostPort To { get; init; }

    /// <summary>How many clients are played.</summary>
    public required int Sessions { get; init; }

    /// <summary>How many links they are spread over.</summary>
    public required int Links { get; init; }

    /// <summary>What packets carry.</summary>
    public required LinkFraming Framing { get; init; }

    /// <summary>The links' secret.</summary>
    public required string? Secret { get; init; }

    /// <summary>How sessions say who they are.</summary>
    public required ProxyMode Proxy { get; init; }

    /// <summary>How clients log in.</summary>
    public required LoginOptions Login { get; init; }

    /// <summary>Logins per second; 0: as fast as they are answered.</summary>
    public required double Rate { get; init; }

    /// <summary>The most logins under way at the same time.</summary>
    public required int Pending { get; init; }

    /// <summary>How long they stay idle.</summary>
    public required TimeSpan Hold { get; init; }

    /// <summary>White space per second during that time; 0: none.</summary>
    public required double KeepAlives { get; init; }

    /// <summary>Messages to be sent.</summary>
    public required int Messages { get; init; }

    /// <summary>Messages per second.</summary>
    public required double MessageRate { get; init; }

    /// <summary>Bytes of each message's text.</summary>
    public required int MessageBytes { get; init; }

    /// <summary>Whether the links are just dropped at the end.</summary>
    public required bool Cut { get; init; }

    /// <summary>How long processes are watched after the end.</summary>
    public required TimeSpan After { get; init; }

    /// <summary>How long nothing may happen.</summary>
    public required TimeSpan Patience { get; init; }

    /// <summary>Processes that are watched.</summary>
    public required int[] Watch { get; init; }

    /// <summary>The file for the result; null: none.</summary>
    public required string? Json { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static LinkBenchOptions Read(ReadOnlySpan<string> arguments, List<Problem> problems)
    {
        OptionValues values = new("link", All, arguments, problems);
        LinkBenchOptions options = new()
        {
            To = values.Get(ToOption, ValueFormats.LinkTarget)!,
            Sessions = values.Get(SessionsOption, ValueFormats.Number(1, 16_000_000, 100_000)),
            Links = values.Get(LinksOption, ValueFormats.Number(1, 64, 2)),
            Framing = values.Get(FramingOption, BenchFormats.Framing),
            Secret = values.Get(SecretOption, ValueFormats.Secret),
            Proxy = values.Get(ProxyOption, ValueFormats.Proxy),
            Login = new LoginOptions
            {
                Method = values.Get(LoginOption, BenchFormats.Login),
                Domain = values.Get(DomainOption, BenchFormats.Domain)!,
                User = values.Get(UserOption, BenchFormats.Pattern)!,
                Password = values.Get(PasswordOption, BenchFormats.Pattern)!,
            },
            Rate = values.Get(RateOption, BenchFormats.Rate),
            Pending = values.Get(PendingOption, ValueFormats.Number(1, 1_000_000, 500)),
            Hold = values.Get(HoldOption, BenchFormats.Seconds),
            KeepAlives = values.Get(KeepAlivesOption, BenchFormats.Rate),
            Messages = values.Get(MessagesOption, ValueFormats.Number(0, 1_000_000_000, 100_000)),
            MessageRate = values.Get(MessageRateOption, BenchFormats.Rate),
            MessageBytes = values.Get(MessageBytesOption, ValueFormats.Number(1, 60_000, 200)),
            Cut = values.Get(EndOption, BenchFormats.Choice(("stream", false), ("cut", true))),
            After = values.Get(AfterOption, BenchFormats.Seconds),
            Patience = values.Get(PatienceOption, BenchFormats.Seconds),
            Watch = values.Get(WatchOption, BenchFormats.Processes) ?? [],
            Json = values.Get(JsonOption, BenchFormats.File),
        };
        if (options.KeepAlives > 0 && options.Framing == LinkFraming.Stanza)
            values.Refuse(KeepAlivesOption, "white space is not carried with stanza framing", "for example --framing bytes");
        if (options.Sessions > 0 && options.Links > options.Sessions)
            values.Refuse(LinksOption, "is more than there are sessions", "for example --links 1");
        return options;
    }
}
