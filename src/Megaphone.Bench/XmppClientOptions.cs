using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>What XMPP clients are to do, however they reach the server.</summary>
internal sealed record XmppClientOptions
{
    private static readonly BenchOption ClientsOption = new(BenchOption.Clients, "N", null, "clients to play", Required: true);
    private static readonly BenchOption LoginOption = new(
        "login", "METHOD", "anonymous", "none, anonymous, plain, scram-sha-1 or scram-sha-256; none is for echo:");
    private static readonly BenchOption DomainOption = new("domain", "NAME", "localhost", "the server's domain");
    private static readonly BenchOption UserOption = new(
        "user", "PATTERN", "user{0}", "accounts' names; {0} is the client's number");
    private static readonly BenchOption PasswordOption = new("password", "PATTERN", "pass{0}", "accounts' passwords");
    private static readonly BenchOption FirstOption = new("first", "N", "1", "the number of the first client");
    private static readonly BenchOption StreamManagementOption = new(
        "stream-management", "no|yes", "no", "enable XEP-0198, and acknowledge what arrives");
    private static readonly BenchOption RosterOption = new("roster", "no|yes", "no", "ask for the roster before sending presence");
    private static readonly BenchOption RateOption = new(
        "rate", "PER_SECOND", null, "logins begun per second; default: as fast as they are answered");
    private static readonly BenchOption PendingOption = new(
        "pending", "N", "500", "most logins, and at the end most closings, under way at the same time");
    private static readonly BenchOption HoldOption = new("hold", "SECONDS", "0", "time to stay logged in and idle");
    private static readonly BenchOption KeepAlivesOption = new(
        "keepalives", "PER_SECOND", null, "white space, or pings over WebSocket, sent during the hold by all clients together");
    private static readonly BenchOption MessagesOption = new(
        "messages", "N", "0", "messages to send between random pairs of clients");
    private static readonly BenchOption MessageRateOption = new(
        "message-rate", "PER_SECOND", "1000", "messages per second, of all clients together");
    private static readonly BenchOption MessageBytesOption = new("message-bytes", "N", "50", "length of each message's text");
    private static readonly BenchOption SendersOption = new(
        "senders", "N", "0", "clients that send messages, to all the others; 0: each client sends to one other");
    private static readonly BenchOption EndOption = new(
        "end", "stream|cut", "stream", "close each stream in order, or drop the connections or links");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
    [
        ClientsOption, LoginOption, DomainOption, UserOption, PasswordOption, FirstOption, StreamManagementOption, RosterOption,
        RateOption, PendingOption, HoldOption, KeepAlivesOption, MessagesOption, MessageRateOption, MessageBytesOption, SendersOption, EndOption,
    ];

    /// <summary>How many clients there are.</summary>
    public required int Sessions { get; init; }

    /// <summary>How clients log in.</summary>
    public required LoginOptions Login { get; init; }

    /// <summary>Logins per second; 0: as fast as they are answered.</summary>
    public required double Rate { get; init; }

    /// <summary>The most logins, and at the end closings, under way at the same time.</summary>
    public required int Pending { get; init; }

    /// <summary>How long they stay idle.</summary>
    public required TimeSpan Hold { get; init; }

    /// <summary>White space per second during the hold; 0: none.</summary>
    public required double KeepAlives { get; init; }

    /// <summary>How many messages are sent.</summary>
    public required int Messages { get; init; }

    /// <summary>Messages per second.</summary>
    public required double MessageRate { get; init; }

    /// <summary>Bytes of each message's text.</summary>
    public required int MessageBytes { get; init; }

    /// <summary>How many clients send messages, to all the others; 0: all of them, each to one other.</summary>
    public required int Senders { get; init; }

    /// <summary>Whether connections or links are dropped at the end, with open streams.</summary>
    public required bool Cut { get; init; }

    /// <summary>The share of one worker, as options.</summary>
    public IEnumerable<string> ShareOf(int worker, int workers)
    {
        yield return $"--{ClientsOption.Name}={SplitBench.ShareOf(Sessions, worker, workers)}";
        yield return $"--{FirstOption.Name}={Login.First + SplitBench.Before(Sessions, worker, workers)}";
        yield return $"--{PendingOption.Name}={Math.Max(1, SplitBench.ShareOf(Pending, worker, workers))}";
        yield return $"--{MessagesOption.Name}={SplitBench.ShareOf(Messages, worker, workers)}";
        if (Senders > 0) yield return $"--{SendersOption.Name}={Math.Max(1, SplitBench.ShareOf(Senders, worker, workers))}";
        yield return SplitBench.RateOf(MessageRateOption.Name, MessageRate, workers);
        if (Rate > 0) yield return SplitBench.RateOf(RateOption.Name, Rate, workers);
        if (KeepAlives > 0) yield return SplitBench.RateOf(KeepAlivesOption.Name, KeepAlives, workers);
    }

    /// <summary>Reads the options.</summary>
    /// <param name="values">The options that were given.</param>
    /// <param name="carriesWhiteSpace">Whether keepalives can be sent.</param>
    public static XmppClientOptions Read(OptionValues values, bool carriesWhiteSpace)
    {
        XmppClientOptions options = new()
        {
            Sessions = values.Get(ClientsOption, ValueFormats.Number(1, 16_000_000, 100_000)),
            Login = new LoginOptions
            {
                Method = values.Get(LoginOption, BenchFormats.Login),
                Domain = values.Get(DomainOption, BenchFormats.Domain)!,
                User = values.Get(UserOption, BenchFormats.Pattern)!,
                First = values.Get(FirstOption, ValueFormats.Number(1, 1_000_000_000, 1001)),
                Password = values.Get(PasswordOption, BenchFormats.Password)!,
                ManagesStream = values.Get(StreamManagementOption, BenchFormats.YesOrNo),
                AsksForRoster = values.Get(RosterOption, BenchFormats.YesOrNo),
            },
            Rate = values.Get(RateOption, BenchFormats.Rate),
            Pending = values.Get(PendingOption, ValueFormats.Number(1, 1_000_000, 500)),
            Hold = values.Get(HoldOption, BenchFormats.Seconds),
            KeepAlives = values.Get(KeepAlivesOption, BenchFormats.Rate),
            Messages = values.Get(MessagesOption, ValueFormats.Number(0, 1_000_000_000, 100_000)),
            MessageRate = values.Get(MessageRateOption, BenchFormats.Rate),
            MessageBytes = values.Get(MessageBytesOption, ValueFormats.Number(1, 60_000, 200)),
            Senders = values.Get(SendersOption, ValueFormats.Number(0, 16_000_000, 1_000)),
            Cut = values.Get(EndOption, ValueFormats.Choice(("stream", false), ("cut", true))),
        };
        if (options.KeepAlives > 0 && !carriesWhiteSpace)
            values.Refuse(KeepAlivesOption, "stanza framing carries no white space", "for example --framing bytes");
        if (options.Login is { Method: LoginMethod.None, ManagesStream: true }) RefuseWithoutLogin(StreamManagementOption);
        if (options.Login is { Method: LoginMethod.None, AsksForRoster: true }) RefuseWithoutLogin(RosterOption);
        if (options.Senders > 0 && options.Senders >= options.Sessions)
            values.Refuse(SendersOption, $"must be fewer than --{ClientsOption.Name}, as they write to the others", "for example 1");
        return options;

        void RefuseWithoutLogin(BenchOption option) =>
            values.Refuse(option, $"means nothing without a login (--{LoginOption.Name} none)", $"for example --{LoginOption.Name} anonymous");
    }
}
