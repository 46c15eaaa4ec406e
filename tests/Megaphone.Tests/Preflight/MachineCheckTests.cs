using System.Net;
using System.Net.Sockets;
using Megaphone.Configuration;
using Megaphone.Preflight;
using Megaphone.Tests.Configuration;
using Megaphone.Tests.Snapshots;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Preflight;

public class MachineCheckTests
{
    private const string Configuration = """
        {
          "Ecm": { "Clients": [ { "Listen": "0.0.0.0:5222" } ], "Link": { "To": "hub.example.org:6280" }, "MaxClients": 1000000 },
          "Hub": { "Backend": "tcp://192.0.2.1:5222", "MaxSessions": 50000 }
        }
        """;

    private static readonly MachineFacts Large = new()
    {
        OpenFiles = 2_000_000,
        OpenFilesCeiling = 2_000_000,
        OpenFilesOfMachine = long.MaxValue,
        LocalPorts = (1024, 65_535),
        LongestBacklog = 65_535,
        LongestSynBacklog = 65_535,
        MemoryAvailable = 16L << 30,
        TcpMemory = 2L << 30,
        Bindable = new Dictionary<IPEndPoint, BindProbe.Obstacle?>(),
        Unresolved = new Dictionary<string, string>(),
    };

    private static readonly MachineFacts Small = Large with
    {
        OpenFiles = 1024,
        OpenFilesCeiling = 1_048_576,
        OpenFilesOfMachine = 100_000,
        LocalPorts = (32_768, 60_999),
        LongestBacklog = 128,
        LongestSynBacklog = 512,
        MemoryAvailable = 1L << 30,
        TcpMemory = 64 << 20,
    };

    [Fact]
    public void A_sufficient_machine_passes()
    {
        Snapshot.Match(Report(Configured.Right(Configuration), Large));
    }

    [Fact]
    public void An_insufficient_machine_fails_configured_limits()
    {
        Snapshot.Match(Report(Configured.Right(Configuration), Small));
    }

    [Fact]
    public void Unreachable_defaults_are_warnings_only()
    {
        Snapshot.Match(Report(Configured.Right("""{ "Ecm": true, "Hub": { "Backend": "tcp://192.0.2.1:5222" } }"""), Small));
    }

    [Fact]
    public void Addresses_that_cannot_be_bound_and_names_that_cannot_be_resolved_fail()
    {
        Settings settings = Configured.Right(Configuration, [], "--Admin:Listen", "192.0.2.9:80");
        Snapshot.Match(Report(settings, Large with
        {
            Bindable = new Dictionary<IPEndPoint, BindProbe.Obstacle?>
            {
                [IPEndPoint.Parse("0.0.0.0:5222")] = BindProbe.Describe(
                    SocketError.AddressAlreadyInUse, IPEndPoint.Parse("0.0.0.0:5222"), isListening: true, reserved: ""),
                [IPEndPoint.Parse("127.0.0.1:6280")] = BindProbe.Describe(
                    SocketError.AccessDenied, IPEndPoint.Parse("127.0.0.1:6280"), isListening: false, reserved: ""),
                [IPEndPoint.Parse("192.0.2.9:80")] = BindProbe.Describe(
                    SocketError.AddressNotAvailable, IPEndPoint.Parse("192.0.2.9:80"), isListening: false, reserved: ""),
            },
            Unresolved = new Dictionary<string, string> { ["hub.example.org"] = "Name or service not known" },
        }));
    }

    [Fact]
    public void A_backend_that_is_the_ECMs_own_listener_fails()
    {
        Settings settings = Configured.Right(
            """{ "Ecm": { "Clients": [ { "Listen": "0.0.0.0:5222" } ] }, "Hub": { "Backend": "tcp://127.0.0.1:5222" } }""");

        Assert.Contains(Findings(settings, Large), finding => finding is { Verdict: Verdict.Fail, Topic: "Hub:Backend" });
    }

    [Fact]
    public void What_browsers_find_is_reported()
    {
        Settings ecm = Configured.Right("""
            {
              "Ecm": {
                "Clients": [
                  { "Listen": "0.0.0.0:5222", "Framing": "stanza" },
                  { "Listen": "0.0.0.0:5443", "Framing": "web" },
                  { "Listen": "0.0.0.0:5444", "Framing": "web", "Web": { "Path": "/xmpp", "HttpTo": "127.0.0.1:5280" } }
                ]
              }
            }
            """);
        Assert.Equal(
            [
                ("Ecm:Clients:1:Web", "WebSockets at /ws; all other requests are refused, as there is no HttpTo"),
                ("Ecm:Clients:2:Web",
                    "WebSockets at /xmpp; all other requests are relayed to 127.0.0.1:5280, each with two descriptors and two of MaxClients' places"),
            ],
            Findings(ecm, Large).Where(finding => finding.Topic.EndsWith(":Web", StringComparison.Ordinal))
                .Select(finding => (finding.Topic, finding.What)));

        Settings hub = Configured.Right("""{ "Hub": { "Backend": "tcp://192.0.2.1:5222" } }""");
        Assert.Equal(
            "takes links, and knows no XMPP: browsers connect to an ECM, with Ecm:Clients:N:Framing web",
            Findings(hub, Large).Single(finding => finding.Topic == "Hub").What);
        Assert.DoesNotContain(Findings(Configured.Right(Configuration), Large), finding => finding.Topic == "Hub");
    }

    [Fact]
    public void Memory_for_incomplete_stanzas_counts_with_stanza_framing()
    {
        const string Stanzas =
            """{ "Ecm": { "Clients": [ { "Listen": "0.0.0.0:5222", "Framing": "stanza" } ], "MaxClients": 1, "IncompleteBytes": 1073741824 } }""";
        MachineFacts machine = Large with { MemoryAvailable = 1 << 30 };

        Assert.Contains(Findings(Configured.Right(Stanzas), machine), finding => finding is { Verdict: Verdict.Fail, Topic: "memory" });
        Assert.DoesNotContain(
            Findings(Configured.Right(Stanzas.Replace("stanza", "bytes", StringComparison.Ordinal)), machine),
            finding => finding.Verdict == Verdict.Fail);
    }

    [Fact]
    public void Unknown_facts_are_skipped()
    {
        MachineFacts silent = Large with
        {
            OpenFiles = null,
            OpenFilesCeiling = null,
            OpenFilesOfMachine = null,
            LocalPorts = null,
            LongestBacklog = null,
            LongestSynBacklog = null,
            MemoryAvailable = null,
            TcpMemory = null,
        };

        Assert.All(Findings(Configured.Right(Configuration), silent), finding => Assert.Equal(Verdict.Ok, finding.Verdict));
    }

    [Fact]
    public void The_TLS_files_of_links_are_reported()
    {
        MachineFacts machine = Large with
        {
            LinkTls =
            [
                new LinkTlsFacts("Ecm:Link:Tls", [("/edge.pem", Large.Now.AddDays(13.5)), ("/ca.pem", Large.Now.AddDays(100.5))], []),
                new LinkTlsFacts("Hub:Tls", [], [new CertificateProblem("/hub.key: wrong", "fix it")]),
            ],
        };

        Assert.Equal(
            [
                (Verdict.Warn, "/edge.pem is valid for 13 more days"),
                (Verdict.Ok, "/ca.pem is valid for 100 more days"),
                (Verdict.Fail, "/hub.key: wrong"),
            ],
            Findings(Configured.Right(Configuration), machine)
                .Where(finding => finding.Topic.EndsWith("Tls", StringComparison.Ordinal))
                .Select(finding => (finding.Verdict, finding.What)));
    }

    [Fact]
    public async Task The_facts_of_this_machine_can_be_read()
    {
        using Socket taken = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        Settings settings = Configured.Right("""{ "Ecm": { "Link": { "To": "name.invalid:1" } } }""", [], "--Admin:Listen", $"{taken.LocalEndPoint}");

        MachineFacts facts = await MachineFactsReader.ReadAsync(settings);

        Assert.True(facts.OpenFiles > 0);
        Assert.True(facts.MemoryAvailable > 0);
        Assert.InRange(facts.LocalPorts!.Value.First, 1, facts.LocalPorts.Value.Last);
        Assert.Equal("something listens there already", facts.Bindable[(IPEndPoint)taken.LocalEndPoint!]!.Reason);
        Assert.Contains("name.invalid", facts.Unresolved.Keys);
    }

    private static string Report(Settings settings, MachineFacts machine) =>
        CheckReport.Write("/etc/megaphone/megaphone.json", Findings(settings, machine));

    private static IReadOnlyList<Finding> Findings(Settings settings, MachineFacts machine)
    {
        Dictionary<IPEndPoint, BindProbe.Obstacle?> bindable = new(machine.Bindable);
        foreach ((string _, IPEndPoint address) in settings.Listeners) bindable.TryAdd(address, null);
        return MachineCheck.Run(settings, machine with { Bindable = bindable });
    }
}
