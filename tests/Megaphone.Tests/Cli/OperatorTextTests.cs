using Megaphone.Cli;
using Megaphone.Ecm;
using Megaphone.Operator;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Cli;

/// <summary>What operators read, as it is printed.</summary>
public class OperatorTextTests
{
    [Fact]
    public void A_status_is_one_page() => Snapshot.Match(StatusText.Write(new StatusReport
    {
        Version = "0.3.0",
        Process = 4711,
        Now = At(200_000),
        Started = At(0),
        State = "ready",
        Reasons = ["no link to node2.example.org:6280 is up"],
        Resources = new ResourceStatus(1_234_567_890, 1234, 98.76, 1_000_123, 1_048_576),
        Reloads = new ReloadStatus(2, 1, 0, 0.0123, [new PastReload(At(100), "refused"), new PastReload(At(3600), "done")]),
        Roles =
        [
            Role("ecm") with
            {
                Connected = 1_000_000,
                LoggedIn = 999_000,
                Handshaking = 12,
                WebSockets = 90_000,
                Relayed = 10_000,
                Opened = 2_345_678,
                PacketsIn = 1,
                PacketsOut = 20,
                BytesIn = 999,
                BytesOut = 1_000_000,
                Listeners =
                [
                    new ListenerReport("[::]:5222", "stanza", "starttls", 900_000), new ListenerReport("[::]:5443", "web", "direct", 100_000),
                ],
                Servers =
                [
                    new ServerReport("node1.example.org:6280", 1, 1_000_000, 500, 1234), new ServerReport("node2.example.org:6280", 0, 0, 0, 0),
                ],
                Links =
                [
                    new LinkReport("node1.example.org:6280", "ejabberd@node1", "up", 1_000_000, 90, 0.00025, 1 << 20, 4 << 20),
                    new LinkReport("node2.example.org:6280", null, "down", 0, null, null, 0, 0),
                ],
                Limited = [new CountReport("per_address", 17)],
                Refused = [new CountReport("no_link", 1), new CountReport("limited", 17)],
                Closed = [new CountReport("ended", 1_234_567)],
                Certificates = [new CertificateReport("example.org.pem", "clients", 30)],
            },
            Role("hub") with { Connected = 1, Opened = 3 },
        ],
    }));

    [Fact]
    public void Clients_have_a_line_each() => Snapshot.Match(ClientsText.Write(new ClientsReport(
        12_345,
        [
            new ClientFacts(
                "4294967297", "192.0.2.7:50000", null, "[::]:5222", "TLSv1.3 AES-128-GCM", 93_784, 61, "ejabberd@node1", "logged in",
                4711, 123_456_789),
            new ClientFacts("4294967298", "2001:db8:1:2::/64", "10.0.0.1:40000", "[::]:5222", null, 5, 0, null, "link lost", 0, 0),
        ])));

    [Fact]
    public void Where_there_are_no_clients_that_is_all() => Assert.Equal("0 clients\n", ClientsText.Write(new ClientsReport(0, [])));

    [Fact]
    public void A_configuration_has_a_line_for_each_key() => Snapshot.Match(ConfigurationText.Write(new ConfigurationReport(
        "/etc/megaphone/megaphone.json",
        [
            new ConfiguredValue("Ecm:MaxClients", "20000", "/etc/megaphone/megaphone.json"),
            new ConfiguredValue("Ecm:Link:Secret", "(a secret)", "MEGAPHONE_ECM__LINK__SECRET"),
            new ConfiguredValue("Ecm:Proxy", "none", ConfiguredValue.Default),
        ],
        ["Ecm:Reactors stays 2 until a restart: it is configured as 4"])));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1000, "1.00 KB")]
    [InlineData(12_345, "12.3 KB")]
    [InlineData(999_499, "999 KB")]
    [InlineData(999_999, "1.00 MB")]
    [InlineData(123_456_789_012, "123 GB")]
    public void Sizes_have_three_digits(long bytes, string text) => Assert.Equal(text, HumanText.Size(bytes));

    [Theory]
    [InlineData(59, "59s")]
    [InlineData(60, "1m 0s")]
    [InlineData(3600, "1h 0m")]
    [InlineData(93_784, "1d 2h")]
    public void Ages_have_two_units(long seconds, string text) => Assert.Equal(text, HumanText.Age(seconds));

    private static RoleStatus Role(string role) => new()
    {
        Role = role,
        Connected = 0,
        Opened = 0,
        PacketsIn = 0,
        PacketsOut = 0,
        BytesIn = 0,
        BytesOut = 0,
        Buffered = 0,
        Listeners = [],
        Servers = [],
        Links = [],
        Limited = [],
        Refused = [],
        Closed = [],
        Certificates = [],
    };

    private static long At(long seconds) => new DateTimeOffset(2026, 11, 29, 12, 0, 0, TimeSpan.Zero).AddSeconds(seconds).ToUnixTimeMilliseconds();
}
