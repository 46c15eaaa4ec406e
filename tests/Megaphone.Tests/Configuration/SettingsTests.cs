using System.Net;
using System.Text.RegularExpressions;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Tests.Snapshots;
using Megaphone.Values;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Megaphone.Tests.Configuration;

public class SettingsTests
{
    [Fact]
    public void Without_any_configuration_both_roles_run_and_the_hub_echoes()
    {
        Settings settings = Configured.Right();

        Assert.Equal(IPEndPoint.Parse("127.0.0.1:5222"), Assert.Single(settings.Ecm!.Clients).Listen);
        Assert.Equal([new HostPort("127.0.0.1", 6280)], settings.Ecm.Connect.To);
        Assert.True(settings.LinksToOwnHub);
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:6280"), settings.Hub!.Listen);
        Assert.Empty(settings.Hub.Backends);
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:6281"), settings.Admin!.Listen);
        Assert.Equal(TimeSpan.FromSeconds(10), settings.StopTimeout);
    }

    [Theory]
    [InlineData("{}", true, true)]
    [InlineData("""{ "Ecm": true }""", true, false)]
    [InlineData("""{ "Hub": true }""", false, true)]
    [InlineData("""{ "Hub": { "MaxLinks": 4 } }""", false, true)]
    [InlineData("""{ "Ecm": true, "Hub": true }""", true, true)]
    [InlineData("""{ "Ecm": true, "Hub": false }""", true, false)]
    [InlineData("""{ "Hub": false }""", true, false)]
    [InlineData("""{ "Admin": false }""", true, true)]
    public void A_role_runs_when_its_section_stands_in_the_configuration(string json, bool ecm, bool hub)
    {
        Settings settings = Configured.Right(json);

        Assert.Equal(ecm, settings.Ecm is not null);
        Assert.Equal(hub, settings.Hub is not null);
    }

    [Fact]
    public void Links_speak_TLS_when_the_section_is_there()
    {
        Assert.Null(Configured.Right("""{ "Ecm": { "Link": { "Tls": false } } }""").Ecm!.Connect.Tls);
        LinkTlsOptions bare = Configured.Right("""{ "Ecm": { "Link": { "To": "hub.example.org:6280", "Tls": true } } }""").Ecm!.Connect.Tls!;
        Assert.Equal((null, null, null), (bare.PeerName, bare.Authorities, bare.Own));
        const string Named =
            """{ "Ecm": { "Link": { "To": "192.0.2.1:6280", "Tls": { "Name": "hub.example.org","""
            + """ "Ca": "/ca.pem", "Certificate": "/c.pem", "Key": "/k.pem" } } } }""";
        LinkTlsOptions named = Configured.Right(Named).Ecm!.Connect.Tls!;
        Assert.Equal(("hub.example.org", "/ca.pem"), (named.PeerName, named.Authorities));
        Assert.Equal(("/c.pem", "/k.pem"), named.Own!.Value);

        LinkTlsOptions hub = Configured.Right(
            """{ "Hub": { "Tls": { "Certificate": "/c.pem", "Key": "/k.pem", "ClientCa": "/ca.pem" } } }""").Hub!.Tls!;
        Assert.True(hub.Listens);
        Assert.Equal("/ca.pem", hub.Authorities);
        Assert.Equal(("/c.pem", "/k.pem"), hub.Own!.Value);
    }

    [Fact]
    public void A_hub_that_can_be_reached_from_outside_wants_certificates_or_a_secret()
    {
        const string Tls = """{ "Hub": { "Listen": "0.0.0.0:6280", "Tls": { "Certificate": "/c.pem", "Key": "/k.pem", "ClientCa": "/ca.pem" } } }""";
        Assert.NotNull(Configured.Right(Tls).Hub!.Tls);
        Assert.StartsWith(
            "Hub:Listen \"0.0.0.0:6280\" from FILE: is reachable from outside",
            Assert.Single(Configured.Load(Tls.Replace("/ca.pem", "", StringComparison.Ordinal)).Problems),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_value_that_is_null_or_empty_is_not_given()
    {
        Assert.Null(Configured.Right("""{ "Hub": { "Secret": null, "IdleTimeout": null } }""").Hub!.IdleTimeout);
        Assert.Null(Configured.Right("""{ "Hub": { "Secret": "long enough" } }""", [("MEGAPHONE_HUB__SECRET", "")]).Hub!.Link.Secret);
    }

    [Fact]
    public void Environment_and_command_line_switch_sections_as_the_file_does()
    {
        Assert.Null(Configured.Right("""{ "Admin": false }""").Admin);
        Assert.Null(Configured.Right(environment: [("MEGAPHONE_ADMIN", "false")]).Admin);
        Assert.Null(Configured.Right("{}", [], "--Admin", "false").Admin);
        Assert.Null(Configured.Right(environment: [("MEGAPHONE_HUB", "true")]).Ecm);
        Assert.Null(Configured.Right("{}", [], "--hub=True").Ecm);
        Assert.NotNull(Configured.Right("{}", [], "--Ecm:Link:Tls", "true", "--Ecm:Link:To", "hub.example.org:1").Ecm!.Connect.Tls);
    }

    [Fact]
    public void A_server_is_one_value_or_a_list_and_the_last_source_that_says_anything_decides()
    {
        const string File = """{ "Ecm": { "Link": { "To": [ "a:1", "b:2" ] } }, "Hub": { "Backend": "tcp://c:3" } }""";
        Assert.Equal(["a:1", "b:2"], ServersOf(Configured.Right(File)));
        Assert.Equal(["d:4"], ServersOf(Configured.Right(File, [("MEGAPHONE_ECM__LINK__TO", "d:4")])));
        Assert.Equal(["a:1", "d:4"], ServersOf(Configured.Right(File, [("MEGAPHONE_ECM__LINK__TO__1", "d:4")])));
        Assert.Equal(["a:1", "b:2"], ServersOf(Configured.Right(File, [("MEGAPHONE_ECM__LINK__TO", "")])));
        Assert.Equal(["a:1"], ServersOf(Configured.Right(File, [], "--Ecm:Link:To:1=")));

        Assert.Equal([new HostPort("c", 3)], Configured.Right(File).Hub!.Backends);
        string[] two = ["--Hub:Backend:0", "tcp://d:4", "--Hub:Backend:1", "tcp://e:5"];
        Assert.Equal([new HostPort("d", 4), new HostPort("e", 5)], Configured.Right(File, [], two).Hub!.Backends);

        static IEnumerable<string> ServersOf(Settings settings) => settings.Ecm!.Connect.To.Select(to => to.ToString());
    }

    [Fact]
    public void A_list_of_networks_may_be_empty_and_only_one_that_is_not_given_is_the_default()
    {
        Assert.Equal(["127.0.0.0/8"], ExemptIn("{}"));
        Assert.Equal([], ExemptIn("""{ "Ecm": { "Limits": { "Exempt": [] } } }"""));
        Assert.Equal(["10.0.0.0/8", "::1/128"], ExemptIn("""{ "Ecm": { "Limits": { "Exempt": [ "10.0.0.0/8", "::1/128" ] } } }"""));

        static IEnumerable<string> ExemptIn(string json) => Configured.Right(json).Ecm?.Limits.Exempt.Select(network => $"{network}") ?? [];
    }

    [Theory]
    [InlineData("""{ "Ecm": { "Link": { "To": [ "192.0.2.1:1", "node.example.org:1" ], "Count": 2 } }, "Admin": false }""", 64 + 2 + 2 * 8)]
    [InlineData("""{ "Ecm": { "Link": { "Count": 3 } } }""", 64 + 3 + 64)]
    [InlineData("""{ "Hub": { "MaxLinks": 7 }, "Admin": false }""", 64 + 7)]
    [InlineData("{}", 64 + 1 + 256 + 64)]
    public void Descriptors_are_kept_back_for_links_and_the_admin_endpoint(string json, int reserved) =>
        Assert.Equal(reserved, Configured.Right(json).ReservedDescriptors);

    [Fact]
    public void The_last_source_that_says_anything_about_a_section_decides()
    {
        Assert.Null(Configured.Right("""{ "Admin": { "Listen": "127.0.0.1:1" } }""", [], "--Admin=false").Admin);
        Assert.NotNull(Configured.Right("""{ "Admin": false }""", [("MEGAPHONE_ADMIN__LISTEN", "127.0.0.1:1")]).Admin);
    }

    [Fact]
    public void The_environment_goes_over_the_file_and_the_command_line_over_both()
    {
        const string File = """{ "Ecm": { "MaxClients": 1, "CloseRate": 1, "Backlog": 1 } }""";
        EcmOptions ecm = Configured.Right(
            File,
            [("MEGAPHONE_ECM__CLOSERATE", "2"), ("MEGAPHONE_ECM__BACKLOG", "2")],
            "--ecm:backlog", "3").Ecm!;

        Assert.Equal((1, 2, 3), (ecm.MaxClients, ecm.CloseRate, ecm.Backlog));
    }

    [Fact]
    public void Every_key_reaches_its_option()
    {
        const string Clients =
            """[ { "Listen": "[::1]:5222", "Framing": "stanza", "MaxStanzaBytes": 10000 }, """
            + """{ "Listen": "localhost:0", "Framing": "stanza", "Tls": "direct", "ProxyFrom": [ "10.3.0.0/16" ] }, """
            + """{ "Listen": "[::1]:5443", "Framing": "web", "Web": { "Path": "/xmpp", "Origins": [ "https://a.example", "http://b.example:81" ],"""
            + """ "Ping": "45s", "HttpTo": "[::1]:5280", "ForwardedFrom": [ "10.0.0.0/8", "2001:db8::/32" ] } } ]""";
        const string Certificates =
            """[ { "Certificate": "/a.pem", "Key": "/a.key" }, """
            + """{ "Certificate": "/b.pem", "Key": "/b.key", "Names": [ "B.example", "*.b.example" ] } ]""";
        Settings settings = Configured.Right($$"""
            {
              // Comments and trailing commas are allowed.
              "Ecm": {
                "Clients": {{Clients}},
                "Tls": {
                  "Certificates": {{Certificates}},
                  "MinVersion": "1.3", "Tickets": false, "HandshakeTimeout": "23s", "MaxHandshakes": 24,
                  "Records": "openssl", "ChannelBinding": true
                },
                "Link": {
                  "To": "hub.example.org:6280", "Count": 3, "Control": true, "Resume": false, "Secret": "ecm's secret", "Name": "edge",
                  "Tls": { "Ca": "/c.pem", "Name": "other.example.org", "Certificate": "/d.pem", "Key": "/d.key" },
                  "ConnectTimeout": "1s", "RetryMin": "500ms", "RetryMax": "1m", "RingBytes": "8M", "SocketBufferBytes": 77777
                },
                "Limits": {
                  "PerAddress": 61, "PerAddressRate": 62, "Ipv4Prefix": 24, "Ipv6Prefix": 56, "Ipv6Site": 40,
                  "Allow": [ "10.0.0.0/8", "::1/128" ], "Deny": [ "10.1.0.0/16" ], "Exempt": [ "10.2.0.0/16" ]
                },
                "Logins": { "AtOnce": 63, "MaxWait": "4m" },
                "Proxy": "v2", "MaxClients": 11, "MaxPacketBytes": 2097152, "Reactors": 2, "Backlog": 12,
                "HalfOpenTimeout": "00:00:13", "CloseRate": 14, "IncompleteBytes": 1048576, "Drain": { "SeeOtherUri": "wss://b.example/ws" },
                "Buffers": { "LowBytes": 15, "HighBytes": 16, "LimitBytes": 17, "TotalBytes": 18 },
                "TcpKeepAlive": { "Idle": "00:00:19", "Interval": "00:00:20", "Probes": 21, "UserTimeout": "00:07:22" }
              },
              "Hub": {
                "Listen": "0.0.0.0:6280", "Backend": "tcp://[::1]:5222", "MaxPacketBytes": 64, "MaxSessions": 31,
                "HalfOpenTimeout": "00:00:32", "IdleTimeout": "24h", "Secret": "hub's secret", "AllowOpenListener": false,
                "Tls": { "Certificate": "/e.pem", "Key": "/e.key", "ClientCa": "/f.pem" },
                "Name": "hub", "MaxLinks": 33, "ResumeTimeout": "5m",
                "Reactors": 3, "RingBytes": 65536, "SocketBufferBytes": 0, "ConnectTimeout": "00:00:34",
                "Buffers": { "LowBytes": 35, "HighBytes": 36, "LimitBytes": 37, "TotalBytes": 38 },
                "TcpKeepAlive": { "Idle": "00:00:39", "Interval": "00:00:40", "Probes": 41, "UserTimeout": "00:28:42" },
              },
              "Admin": { "Listen": "127.0.0.1:0", "Socket": "/a.sock" },
              "Service": { "StopTimeout": "00:00:43", "KeepAlive": "00:00:44" },
              "Logging": { "Format": "json", "LogLevel": { "Default": "Warning", "Megaphone.Hub": "Debug" } }
            }
            """);

        // What a collection holds is not part of a record's own text, and its type says nothing.
        string text = $"""
            {settings.Ecm}
            {string.Join('\n', settings.Ecm!.Clients)}
            {string.Join(' ', settings.Ecm.Clients[1].ProxyFrom)}
            {string.Join(' ', settings.Ecm.Clients[2].Web!.Origins)} {string.Join(' ', settings.Ecm.Clients[2].Web!.ForwardedFrom)}
            {string.Join('\n', settings.Ecm.Connect.To)}
            {string.Join(' ', settings.Ecm.Limits.Allow.Concat(settings.Ecm.Limits.Deny).Concat(settings.Ecm.Limits.Exempt))}
            {string.Join('\n', settings.Ecm.Tls!.Server.Certificates)}
            {string.Join(' ', settings.Ecm.Tls.Server.Certificates[1].Names)}
            {settings.Hub}
            {string.Join('\n', settings.Hub!.Backends)}
            {settings.Admin}
            {settings.StopTimeout} {settings.LinksToOwnHub} {settings.MaxClientsGiven} {settings.MaxSessionsGiven}
            {settings.LogFormat} {string.Join('\n', settings.LogLevels)}
            """;
        Snapshot.Match(Regex.Replace(text, @"\S+`1\[\S+\]", "(list)").Replace(", ", ",\n  ", StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_may_be_hidden_and_named_from_the_folder_that_one_is_in()
    {
        string file = Path.Combine(Path.GetTempPath(), $".{Guid.NewGuid()}.json");
        File.WriteAllText(file, """{ "Hub": { "MaxLinks": 7 } }""");
        try
        {
            Assert.Equal(7, Configured.Right("{}", [], "--config", Path.GetRelativePath(Environment.CurrentDirectory, file)).Hub!.MaxLinks);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void No_key_is_there_twice_and_each_has_a_meaning()
    {
        Assert.Distinct(SettingKeys.All.Select(key => key.Path));
        Assert.All(SettingKeys.All, key => Assert.False(string.IsNullOrEmpty(key.Meaning) || key.Meaning.EndsWith('.')));
    }

    [Fact]
    public void The_ring_grows_with_the_longest_packet_unless_it_is_given()
    {
        Assert.Equal(2 << 20, Configured.Right("""{ "Hub": { "MaxPacketBytes": 32 } }""").Hub!.Link.RingBytes);
        Assert.Equal(2 << 20, Configured.Right("""{ "Hub": { "MaxPacketBytes": 1048576 } }""").Hub!.Link.RingBytes);
        Assert.Equal(4 << 20, Configured.Right("""{ "Hub": { "MaxPacketBytes": 1048577 } }""").Hub!.Link.RingBytes);
        Assert.Equal(1 << 30, Configured.Right("""{ "Hub": { "MaxPacketBytes": 536870912 } }""").Hub!.Link.RingBytes);
    }

    [Fact]
    public void Links_follow_a_hub_of_the_same_process_to_whichever_port_it_gets()
    {
        Settings settings = Configured.Right("""
            { "Ecm": { "Link": { "To": "localhost:0" } }, "Hub": { "Listen": "127.0.0.1:0", "Secret": "of the hub" } }
            """);

        Assert.True(settings.LinksToOwnHub);
        Assert.Equal("of the hub", settings.Ecm!.Link.Secret);
        Assert.Empty(settings.Targets);
    }

    [Fact]
    public void A_link_elsewhere_does_not_take_the_secret_of_the_hub()
    {
        Settings settings = Configured.Right("""
            { "Ecm": { "Link": { "To": "hub.example.org:6280" } }, "Hub": { "Secret": "of the hub" } }
            """);

        Assert.False(settings.LinksToOwnHub);
        Assert.Null(settings.Ecm!.Link.Secret);
    }

    [Fact]
    public void Keep_alive_is_the_same_for_both_roles()
    {
        Settings settings = Configured.Right("""{ "Service": { "KeepAlive": "00:00:03" } }""");

        Assert.Equal(TimeSpan.FromSeconds(3), settings.Ecm!.Link.KeepAlive);
        Assert.Equal(TimeSpan.FromSeconds(3), settings.Hub!.Link.KeepAlive);
    }

    [Fact]
    public void The_framework_is_heard_from_warnings_on_unless_asked()
    {
        Assert.Equal(LogLevel.Warning, Configured.Right().LogLevels["Microsoft"]);
        Assert.Equal(LogLevel.Debug, Configured.Right("""{ "Logging": { "LogLevel": { "Microsoft": "Debug" } } }""").LogLevels["Microsoft"]);
    }

    [Fact]
    public void Variables_that_an_orchestrator_sets_for_a_service_called_megaphone_are_not_ours()
    {
        Configured.Right(environment: [("MEGAPHONE_SERVICE_HOST", "10.0.0.1"), ("MEGAPHONE_PORT", "tcp://10.0.0.1:5222")]);
    }

    [Theory]
    [InlineData("0.0.0.0:6280")]
    [InlineData("[::]:6280")]
    [InlineData("192.0.2.1:6280")]
    public void A_hub_open_to_the_network_wants_a_secret_or_the_operators_word(string listen)
    {
        string json = $$"""{ "Hub": { "Listen": "{{listen}}" } }""";

        Assert.Equal(
            $"Hub:Listen \"{listen}\" from FILE: is reachable from outside, where anybody could open sessions: write a Hub:Secret and the "
            + "same Ecm:Link:Secret at the other end, or Hub:Tls with a ClientCa, or \"AllowOpenListener\": true, or a loopback address; "
            + "for example 127.0.0.1:6280",
            Assert.Single(Configured.Load(json).Problems));
        Configured.Right(json, [], "--Hub:Secret", "long enough");
        Configured.Right(json, [], "--Hub:AllowOpenListener", "true");
    }
}
