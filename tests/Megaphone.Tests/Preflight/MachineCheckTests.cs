using System.Net;
using System.Net.Sockets;
using Megaphone.Configuration;
using Megaphone.Links;
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
        ReservedPorts = new ReservedPorts("5222,6280-6281"),
        Bindable = new Dictionary<EndPoint, BindProbe.Obstacle?>(),
    };

    private static readonly MachineFacts Small = Large with
    {
        OpenFiles = 1024,
        OpenFilesCeiling = 1_048_576,
        OpenFilesOfMachine = 100_000,
        LocalPorts = (32_768, 60_999),
        ReservedPorts = new ReservedPorts(""),
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
    public void Addresses_that_cannot_be_bound_fail()
    {
        Settings settings = Configured.Right(Configuration, [], "--Admin:Listen", "192.0.2.9:80");
        Snapshot.Match(Report(settings, Large with
        {
            Bindable = new Dictionary<EndPoint, BindProbe.Obstacle?>
            {
                [IPEndPoint.Parse("0.0.0.0:5222")] = BindProbe.Describe(
                    SocketError.AddressAlreadyInUse, IPEndPoint.Parse("0.0.0.0:5222"), isListening: true, reserved: new ReservedPorts("")),
                [IPEndPoint.Parse("127.0.0.1:6280")] = BindProbe.Describe(
                    SocketError.AccessDenied, IPEndPoint.Parse("127.0.0.1:6280"), isListening: false, reserved: new ReservedPorts("")),
                [IPEndPoint.Parse("192.0.2.9:80")] = BindProbe.Describe(
                    SocketError.AddressNotAvailable, IPEndPoint.Parse("192.0.2.9:80"), isListening: false, reserved: new ReservedPorts("")),
            },
        }));
    }

    [Fact]
    public void A_backend_that_is_the_ECMs_own_listener_fails()
    {
        Settings settings = Configured.Right(
            """{ "Ecm": { "Clients": [ { "Listen": "0.0.0.0:5222" } ] }, "Hub": { "Backend": "tcp://127.0.0.1:5222" } }""");
        TargetAnswer itself = new(settings.Targets.Single(), Unresolved: null, [new AddressAnswer(IPEndPoint.Parse("127.0.0.1:5222"))]);

        Assert.Contains(Findings(settings, Large, itself), finding => finding is { Verdict: Verdict.Fail, Topic: "Hub:Backend" });
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

        Settings settings = Configured.Right("""{ "Ecm": true, "Hub": true }""");
        Assert.All(Findings(settings, silent), finding => Assert.Equal(Verdict.Ok, finding.Verdict));
    }

    [Fact]
    public void Each_TLS_file_is_reported_with_its_key_and_each_problem_with_its_own_fix()
    {
        LinkTlsOptions links = new() { Own = ("/edge.pem", "/edge.key"), Authorities = "/ca.pem" };
        LinkTlsOptions hub = new() { Listens = true, Own = ("/hub.pem", "/hub.key"), Authorities = "/edges.pem" };
        Settings settings = Configured.Right("""
            {
              "Ecm": {
                "Clients": [ { "Listen": "0.0.0.0:5222", "Tls": "direct" } ],
                "Tls": { "Certificates": [ { "Certificate": "/a.pem", "Key": "/a.key" }, { "Certificate": "/b.pem", "Key": "/b.key" } ] }
              }
            }
            """);
        MachineFacts machine = Large with
        {
            CertificateProblems = [new CertificateProblem("/b.key", "wrong", "mend it"), new CertificateProblem(null, "no OpenSSL", "install it")],
            LinkTls =
            [
                new LinkTlsFacts(links, [("/edge.pem", Large.Now.AddDays(13.5)), ("/ca.pem", Large.Now.AddDays(100.5))], []),
                new LinkTlsFacts(hub, [], [new CertificateProblem("/edges.pem", "empty", "fill it")]),
            ],
        };

        Assert.Equal(
            [
                (Verdict.Fail, "Ecm:Tls:Certificates:1:Key", "/b.key: wrong", "mend it"),
                (Verdict.Fail, "Ecm:Tls", "no OpenSSL", "install it"),
                (Verdict.Warn, "Ecm:Link:Tls:Certificate", "/edge.pem is valid for 13 more days", "renew it; changed files are reloaded at once"),
                (Verdict.Ok, "Ecm:Link:Tls:Ca", "/ca.pem is valid for 100 more days", null),
                (Verdict.Fail, "Hub:Tls:ClientCa", "/edges.pem: empty", "fill it"),
            ],
            TlsCheck.Run(settings, machine).Select(finding => (finding.Verdict, finding.Topic, finding.What, finding.Fix)));
    }

    [Fact]
    public void What_the_unit_gives_counts_and_what_this_shell_has_is_told_apart()
    {
        UnitFacts unit = new("/etc/systemd/system/megaphone.service", "/etc/megaphone/megaphone.json", 2_000_000, MayListenBelow1024: true);
        Settings settings = Configured.Right(
            """{ "Ecm": { "Clients": [ { "Listen": "0.0.0.0:443", "Framing": "web" } ], "MaxClients": 1000000 } }""");
        MachineFacts machine = Large with
        {
            OpenFiles = 1024,
            Unit = unit,
            Bindable = new Dictionary<EndPoint, BindProbe.Obstacle?>
            {
                [IPEndPoint.Parse("0.0.0.0:443")] = BindProbe.Describe(
                    SocketError.AccessDenied, IPEndPoint.Parse("0.0.0.0:443"), isListening: false, new ReservedPorts("")),
            },
        };

        IReadOnlyList<Finding> findings = Findings(settings, machine);

        Assert.DoesNotContain(findings, finding => finding.Verdict == Verdict.Fail);
        Assert.Equal(
            [
                "the service gets, by /etc/systemd/system/megaphone.service, 2000000, and 1000513 are needed; clients get all but 129",
                "what is started from this shell, and not by systemd, gets 1024",
            ],
            findings.Where(finding => finding.Topic == "open files").Select(finding => finding.What));
        Assert.Contains(findings, finding => finding.What == $"0.0.0.0:443: this user may not listen there, and the service may, by {unit.Path}");

        Finding tight = Findings(settings, machine with { Unit = unit with { OpenFiles = 65_536 } }).First(finding => finding.Topic == "open files");
        Assert.Equal((Verdict.Fail, "LimitNOFILE=1000513 under [Service] with `systemctl edit megaphone`"), (tight.Verdict, tight.Fix));
    }

    [Fact]
    public void Ports_that_connections_may_take_from_listeners_are_to_be_reserved()
    {
        Settings settings = Configured.Right(Configuration);
        Finding Ports(string reserved, (int, int) range) =>
            ListenerCheck.Run(settings, Bindable(settings, Large with { LocalPorts = range, ReservedPorts = new ReservedPorts(reserved) }))
                .Single(finding => finding.Topic == "local ports");

        Finding found = Ports("5000-5222,8080", (1024, 65_535));
        Assert.Equal((Verdict.Warn, "sysctl -w net.ipv4.ip_local_reserved_ports=5000-5222,8080,6280,6281"), (found.Verdict, found.Fix));
        Assert.StartsWith("6280, 6281: a connection of this machine may have such a port", found.What);
        Assert.StartsWith("5222: ", Ports("", (1024, 6279)).What);
    }

    [Fact]
    public void What_others_can_read_or_ask_for_is_a_warning()
    {
        const string Open = """
            {
              "Ecm": {
                "Clients": [ { "Listen": "0.0.0.0:5222", "Framing": "stanza" }, { "Listen": "127.0.0.1:5443", "Framing": "web" },
                             { "Listen": "[::]:5444", "Framing": "web", "Web": { "HttpTo": "192.0.2.5:5280" } } ],
                "Link": { "To": [ "hub.example.org:6280", "localhost:6280" ], "Secret": "of the hub" }
              },
              "Hub": { "Listen": "0.0.0.0:6290", "Secret": "of the hub", "Backend": "tcp://192.0.2.1:5222" },
              "Admin": { "Listen": "0.0.0.0:6281" }
            }
            """;
        Snapshot.Match(Warnings(Open));
        Assert.Empty(Warnings("""{ "Ecm": { "Clients": [ { "Listen": "0.0.0.0:5222" } ] }, "Hub": true }"""));
        Assert.Empty(Warnings("""{ "Ecm": { "Link": { "To": "hub.example.org:6280", "Tls": true } } }"""));

        static string Warnings(string configuration)
        {
            Settings settings = Configured.Right(configuration);
            IEnumerable<Finding> findings = ListenerCheck.Run(settings, Bindable(settings, Large with { LocalPorts = null }));
            return string.Concat(findings.Where(finding => finding.Verdict == Verdict.Warn)
                .Select(finding => $"{finding.Topic}: {finding.What}\n  {finding.Fix}\n"));
        }
    }

    [Fact]
    public void The_facts_of_this_machine_can_be_read()
    {
        using Socket taken = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        Settings settings = Configured.Right("""{ "Ecm": true }""", [], "--Admin:Listen", $"{taken.LocalEndPoint}");

        MachineFacts facts = MachineFactsReader.Read(settings);

        Assert.True(facts.OpenFiles > 0);
        Assert.True(facts.MemoryAvailable > 0);
        Assert.InRange(facts.LocalPorts!.Value.First, 1, facts.LocalPorts.Value.Last);
        Assert.Equal("something listens there already", facts.Bindable[(IPEndPoint)taken.LocalEndPoint!]!.Reason);
    }

    [Fact]
    public void A_Unix_socket_is_judged_by_its_file_and_its_folder_may_be_one_that_the_unit_makes()
    {
        Settings settings = Configured.Right(
            """{ "Ecm": { "Clients": [ { "Listen": "unix:/run/megaphone-check/clients.sock", "Framing": "stanza" } ] } }""");
        EndPoint path = settings.Listeners[0].Address;
        MachineFacts free = Bindable(settings, Large);
        Assert.Equal((Verdict.Ok, $"{path} can be bound"), Judge(free));
        Assert.DoesNotContain(ListenerCheck.Run(settings, free), finding => finding.Verdict != Verdict.Ok && finding.Topic == "Ecm:Clients:0:Tls");

        MachineFacts missing = With(new BindProbe.Obstacle("there is no folder /run/megaphone-check", "make it"));
        Assert.Equal((Verdict.Fail, $"{path}: there is no folder /run/megaphone-check"), Judge(missing));
        UnitFacts unit = new("/lib/systemd/system/megaphone.service", null, null, MayListenBelow1024: true);
        Assert.Equal(Verdict.Fail, Judge(missing with { Unit = unit }).Verdict);
        Assert.Equal(
            (Verdict.Ok, $"{path}: /run/megaphone-check is made for the service, by {unit.Path}"),
            Judge(missing with { Unit = unit with { RuntimeFolders = ["/run/megaphone-check"] } }));
        Assert.Equal(
            (Verdict.Warn, $"{path}: a Megaphone, process 7, listens there already"),
            Judge(With(new BindProbe.Obstacle("another process listens on it", "end it") { Service = 7 })));

        MachineFacts With(BindProbe.Obstacle obstacle) =>
            Bindable(settings, Large with { Bindable = new Dictionary<EndPoint, BindProbe.Obstacle?> { [path] = obstacle } });

        (Verdict Verdict, string What) Judge(MachineFacts machine)
        {
            Finding finding = ListenerCheck.Run(settings, machine).Single(one => one.Topic == "Ecm:Clients:0:Listen");
            return (finding.Verdict, finding.What);
        }
    }

    private static string Report(Settings settings, MachineFacts machine) =>
        CheckReport.Write("/etc/megaphone/megaphone.json", Findings(settings, machine));

    private static IReadOnlyList<Finding> Findings(Settings settings, MachineFacts machine, params TargetAnswer[] answers) =>
        FullCheck.Judge(settings, Bindable(settings, machine), answers);

    /// <summary>All that is not known to be in the way can be bound.</summary>
    private static MachineFacts Bindable(Settings settings, MachineFacts machine)
    {
        Dictionary<EndPoint, BindProbe.Obstacle?> bindable = new(machine.Bindable);
        foreach ((string _, EndPoint address) in settings.Listeners) bindable.TryAdd(address, null);
        return machine with { Bindable = bindable };
    }
}
