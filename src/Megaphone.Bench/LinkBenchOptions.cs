using Megaphone.Ecm;
using Megaphone.Protocol;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench link</c>.</summary>
internal sealed record LinkBenchOptions
{
    private static readonly BenchOption ToOption = new(
        "to", "HOST:PORT", null, "the hub, or the server's own link listener", Required: true);
    private static readonly BenchOption LinksOption = new("links", "N", "1", "links to spread the clients over, 1 to 64");
    private static readonly BenchOption FramingOption = new(
        "framing", "stanza|bytes", "stanza", "what packets carry: stanza for the ejabberd module, bytes for a hub");
    private static readonly BenchOption SecretOption = new("secret", "TEXT", null, "the links' shared secret");
    private static readonly BenchOption ProxyOption = new(
        "proxy", "none|v1|v2", "none", "a PROXY header at the head of each session, with addresses from 10.0.0.0/8");

    private static readonly BenchOption ResumeOption = new("resume", "no|yes", "no", "take up a link that is cut, with its sessions");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } =
        [ToOption, LinksOption, FramingOption, SecretOption, ProxyOption, ResumeOption, .. XmppClientOptions.All, .. RunOptions.All];

    /// <summary>Where the links go.</summary>
    public required HostPort To { get; init; }

    /// <summary>How many links the clients are spread over.</summary>
    public required int Links { get; init; }

    /// <summary>What packets carry.</summary>
    public required LinkFraming Framing { get; init; }

    /// <summary>The links' secret.</summary>
    public required string? Secret { get; init; }

    /// <summary>Whether sessions begin with a PROXY header.</summary>
    public required ProxyMode Proxy { get; init; }

    /// <summary>Whether a link that is cut is taken up.</summary>
    public required bool Resume { get; init; }

    /// <summary>What the clients do.</summary>
    public required XmppClientOptions Clients { get; init; }

    /// <summary>The options that every measuring mode has.</summary>
    public required RunOptions Run { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static LinkBenchOptions Read(OptionValues values)
    {
        HostPort to = values.Get(ToOption, ValueFormats.Target)!;
        LinkFraming framing = values.Get(FramingOption, EcmFormats.Framing);
        LinkBenchOptions options = new()
        {
            To = to,
            Links = values.Get(LinksOption, ValueFormats.Number(1, 64, 2)),
            Framing = framing,
            Secret = values.Get(SecretOption, ValueFormats.Secret),
            Proxy = values.Get(ProxyOption, EcmFormats.Proxy),
            Resume = values.Get(ResumeOption, BenchFormats.YesOrNo),
            Clients = XmppClientOptions.Read(values, carriesWhiteSpace: framing == LinkFraming.Bytes),
            Run = RunOptions.Read(values),
        };
        if (options.Resume && options.Clients.Cut) values.Refuse(ResumeOption, "cannot be with --end cut: sessions would wait", "--resume no");
        if (options.Clients.Sessions > 0 && options.Links > options.Clients.Sessions)
            values.Refuse(LinksOption, "is more than there are clients", "for example --links 1");
        return options;
    }
}
