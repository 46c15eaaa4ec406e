using System.Net;
using Megaphone.Configuration;
using Megaphone.Links;
using Megaphone.Preflight;
using Megaphone.Protocol;
using Megaphone.Tests.Configuration;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Preflight;

public class TargetCheckTests
{
    private const string Plain = """
        { "Ecm": { "Clients": [ { "Listen": "127.0.0.1:5222", "Framing": "stanza" } ], "Link": { "To": "node.example.org:6280" } } }
        """;
    private const string Secured = """
        {
          "Ecm": {
            "Clients": [ { "Listen": "127.0.0.1:5222", "Framing": "stanza" } ],
            "Link": { "To": "node.example.org:6280", "Secret": "of the link",
                      "Tls": { "Ca": "/ca.pem", "Certificate": "/edge.pem", "Key": "/edge.key" } }
          }
        }
        """;

    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddYears(60);
    private static readonly AddressAnswer Answer = new(IPEndPoint.Parse("192.0.2.7:6280"));

    private static readonly HandshakeResult Welcome = new(HandshakeResult.Kind.Up)
    {
        Control = true,
        Name = "ejabberd@node",
        MaxPacket = 1 << 20,
        KeepAlive = TimeSpan.FromSeconds(15),
        TellsLogins = true,
        Resume = new ControlResume { Token = "token", Timeout = TimeSpan.FromSeconds(90) },
    };

    [Fact]
    public void Who_answers_is_reported_with_what_its_welcome_says()
    {
        AddressAnswer answer = Answer with { Welcome = Welcome, Tls = "TLS 1.3", NotAfter = Now.AddDays(100) };
        Assert.Equal(
            "node.example.org:6280 (192.0.2.7): ejabberd@node welcomes a link over TLS 1.3; packets up to 1M; a sign of life every 15s; "
            + "sessions outlive a cut of 90s; it says who has logged in",
            Assert.Single(Findings(Secured, answer), finding => finding.Verdict == Verdict.Ok).What);
    }

    [Fact]
    public void What_does_not_fit_is_a_warning()
    {
        Snapshot.Match(Report(
            Secured,
            Answer with
            {
                Welcome = Welcome with { MaxPacket = 65_536, Resume = null },
                IsDraining = true,
                Tls = "TLS 1.3",
                NotAfter = Now.AddDays(3),
            }));
    }

    [Fact]
    public void Each_way_not_to_get_a_link_has_a_fix_of_its_own()
    {
        const string Certificate = "refused by the other side: the certificate CN=edge expired on 2026-11-30 00:00 UTC";
        (string Configuration, AddressAnswer Answer)[] ways =
        [
            (Plain, Answer with { Unreachable = "Connection refused" }),
            (Plain, Answer with { Objection = Objection.Refused, Reason = "refused by the other side: wrong or no secret" }),
            (Secured, Answer with { Objection = Objection.Refused, Reason = "refused by the other side: the secret is missing or wrong" }),
            (Plain, Answer with { Objection = Objection.Refused, Reason = "refused by the other side: framing must be \"stanza\"" }),
            (Plain, Answer with { Objection = Objection.Refused, Reason = "refused by the other side: MaxLinks (4) is reached" }),
            (Plain, Answer with { Objection = Objection.Refused, Reason = "refused by the other side: links require TLS here: set Ecm:Link:Tls" }),
            (Secured, Answer with { Objection = Objection.Refused, Reason = Certificate }),
            (Secured, Answer with { Objection = Objection.Refused, Reason = "refused by the other side: no certificate of its own" }),
            (Plain, Answer with { Objection = Objection.Tls, Reason = "the other end uses TLS, and Ecm:Link:Tls is not set" }),
            (Secured, Answer with { Objection = Objection.Tls, Reason = "the TLS handshake failed: no TLS" }),
            (Secured, Answer with { Objection = Objection.Tls, Reason = "not accepted: it is another's", Fix = "what the certificate needs" }),
            (Plain, Answer with { Objection = Objection.NoLink, Reason = "what it answers does not come from the end of a link: HTTP" }),
            (Plain, Answer with { Objection = Objection.Silent, Reason = "it accepts connections, and has not answered within 5 s" }),
        ];
        Snapshot.Match(string.Concat(ways.Select(way => Report(way.Configuration, way.Answer))));
    }

    [Fact]
    public void A_name_that_does_not_resolve_fails()
    {
        Settings settings = Configured.Right(Plain);
        TargetAnswer answer = new(settings.Targets.Single(), "Name or service not known", []);
        Finding finding = Assert.Single(TargetCheck.Run(settings, [answer], Now));
        Assert.Equal(
            (Verdict.Fail, "Ecm:Link:To", "the name node.example.org does not resolve: Name or service not known"),
            (finding.Verdict, finding.Topic, finding.What));
    }

    [Fact]
    public void Two_servers_with_one_name_are_a_warning_and_two_addresses_of_one_server_are_none()
    {
        Settings settings = Configured.Right("""{ "Ecm": { "Link": { "To": [ "a.example.org:6280", "b.example.org:6280" ] } } }""");
        AddressAnswer one = Answer with { Welcome = Welcome }, another = new(IPEndPoint.Parse("[2001:db8::7]:6280")) { Welcome = Welcome };
        Target a = settings.Targets[0], b = settings.Targets[1];

        Assert.Single(
            TargetCheck.Run(settings, [new TargetAnswer(a, null, [one]), new TargetAnswer(b, null, [another])], Now),
            finding => finding.What == "a.example.org:6280 and b.example.org:6280 are both ejabberd@node, so only one of them gets clients");
        Assert.DoesNotContain(
            TargetCheck.Run(settings, [new TargetAnswer(a, null, [one, another])], Now), finding => finding.Verdict != Verdict.Ok);
    }

    [Fact]
    public void Backends_and_HTTP_servers_that_are_not_there_are_warnings()
    {
        Settings settings = Configured.Right("""
            {
              "Ecm": { "Clients": [ { "Listen": "127.0.0.1:5443", "Framing": "web", "Web": { "HttpTo": "127.0.0.1:5280" } } ] },
              "Hub": { "Backend": [ "tcp://127.0.0.1:15222", "tcp://127.0.0.1:15223" ] }
            }
            """);
        IEnumerable<TargetAnswer> answers = settings.Targets.Select(target => new TargetAnswer(
            target, null, [new AddressAnswer(new IPEndPoint(target.To.Address!, target.To.Port)) { Unreachable = "Connection refused" }]));
        Assert.Equal(
            [
                (Verdict.Warn, "Ecm:Clients:0:Web:HttpTo", "127.0.0.1:5280: Connection refused"),
                (Verdict.Warn, "Hub:Backend:0", "127.0.0.1:15222: Connection refused"),
                (Verdict.Warn, "Hub:Backend:1", "127.0.0.1:15223: Connection refused"),
            ],
            TargetCheck.Run(settings, [.. answers], Now).Select(finding => (finding.Verdict, finding.Topic, finding.What)));
    }

    [Theory]
    [InlineData("0.0.0.0:5222", "127.0.0.1:5222", true)]
    [InlineData("*:5222", "127.0.0.1:5222", true)]
    [InlineData("[::]:5222", "[::1]:5222", true)]
    [InlineData("192.0.2.1:5222", "192.0.2.1:5222", true)]
    [InlineData("*:5223", "127.0.0.1:5222", false)]
    [InlineData("*:5222", "192.0.2.1:5222", false)]
    [InlineData("127.0.0.2:5222", "127.0.0.1:5222", false)]
    public void A_backend_that_is_the_own_client_listener_fails(string listen, string backend, bool isOwn)
    {
        Settings settings = Configured.Right(
            $$"""{ "Ecm": { "Clients": [ { "Listen": "{{listen}}" } ] }, "Hub": { "Backend": "tcp://{{backend}}" } }""");
        TargetAnswer answer = new(settings.Targets.Single(), null, [new AddressAnswer(IPEndPoint.Parse(backend))]);
        Finding finding = Assert.Single(TargetCheck.Run(settings, [answer], Now));
        Assert.Equal(isOwn ? Verdict.Fail : Verdict.Ok, finding.Verdict);
    }

    private static IEnumerable<Finding> Findings(string configuration, AddressAnswer answer)
    {
        Settings settings = Configured.Right(configuration);
        return TargetCheck.Run(settings, [new TargetAnswer(settings.Targets.Single(), null, [answer])], Now);
    }

    private static string Report(string configuration, AddressAnswer answer) => string.Concat(
        Findings(configuration, answer).Where(finding => finding.Verdict != Verdict.Ok)
            .Select(finding => $"{finding.Verdict} {finding.What}\n  {finding.Fix}\n"));
}
