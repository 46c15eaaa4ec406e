using Megaphone.Configuration;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Configuration;

public class ProblemTests
{
    [Fact]
    public void Each_wrong_value_has_a_line_with_key_value_what_is_wrong_and_an_example()
    {
        const string Clients =
            """[ { "Listen": "example.org:5222" }, { "Listen": "::1:5222", "MaxStanzaBytes": 1 }, """
            + """{ "Framing": "stanza" }, { "Listen": "0.0.0.0:1", "Framing": "xml" } ]""";
        const string Link =
            """{ "To": "hub.example.org", "Count": 65, "Control": "yes", "ConnectTimeout": "30","""
            + """ "RetryMin": "24:00:00", "RingBytes": "4MB", "Name": "a\nb" }""";
        const string Hub =
            """{ "Listen": "127.0.0.1:65536", "Backend": "127.0.0.1:5222", "Secret": "short","""
            + """ "AllowOpenListener": 1, "IdleTimeout": "00:00:00" }""";
        Snapshot.Match(Lines($$"""
            {
              "Ecm": {
                "Clients": {{Clients}},
                "Link": {{Link}},
                "Proxy": "v3", "MaxClients": 0, "Reactors": 1.5, "Backlog": "", "CloseRate": -1, "HalfOpenTimeout": "soon",
                "Buffers": { "TotalBytes": 0 },
                "TcpKeepAlive": { "Idle": "00:00:01.5", "Interval": "10:00:00", "Probes": 128 }
              },
              "Hub": {{Hub}},
              "Admin": { "Listen": "" , "Port": 80 },
              "Service": { "Cores": 1 },
              "Logging": { "LogLevel": { "Default": "Chatty", "Megaphone": 2 } }
            }
            """));
    }

    [Fact]
    public void Each_wrong_combination_has_a_line_too()
    {
        Snapshot.Match(Lines("""
            {
              "Ecm": {
                "Clients": [ { "Listen": "127.0.0.1:6280" }, { "Listen": "127.0.0.1:6281" } ],
                "Link": { "To": "127.0.0.1:0", "Control": false, "Secret": "never printed", "RetryMin": "00:00:20", "RingBytes": 6000000 },
                "Buffers": { "LowBytes": 70000, "LimitBytes": 60000 },
                "TcpKeepAlive": { "UserTimeout": "00:01:00" }
              },
              "Hub": {
                "Listen": "127.0.0.1:6280", "MaxPacketBytes": 2000000, "RingBytes": 4194304,
                "Buffers": { "HighBytes": 8192, "TotalBytes": 8192 }
              }
            }
            """));
    }

    [Fact]
    public void Addresses_that_cannot_be_listened_on_together_are_told_with_all_else_that_is_wrong()
    {
        Snapshot.Match(string.Join('\n',
        [
            Lines("""{ "Ecm": { "Clients": [ { "Listen": "0.0.0.0:5222" }, { "Listen": "127.0.0.1:5222" } ], "MaxClients": 0 } }"""),
            Lines("""{ "Ecm": { "Clients": [ { "Listen": "127.0.0.1:5222" }, { "Listen": "[::]:5222" }, { "Listen": "127.0.0.1:5223" } ] } }"""),
            Lines("""{ "Ecm": { "Clients": [ { "Listen": "127.0.0.1:6280" } ] }, "Hub": { "Listen": "0.0.0.0:6280" } }"""),
            Lines("""{ "Ecm": { "Clients": [ { "Listen": "[::]:6281" } ] } }"""),
            Lines("""{ "Ecm": { "Clients": [ { "Listen": "nowhere" }, { "Listen": "0.0.0.0:5222" }, { } ] } }"""),
            Lines("""{ "Hub": { "Listen": "127.0.0.1:65535" }, "Admin": { "Listen": "127.0.0.1:65535" } }"""),
        ]));
    }

    [Fact]
    public void Other_addresses_and_any_port_can_be_listened_on_together()
    {
        const string Clients =
            """[ { "Listen": "127.0.0.1:5222" }, { "Listen": "127.0.0.2:5222" }, { "Listen": "[::1]:5222" }, { "Listen": "0.0.0.0:0" } ]""";
        Configured.Right($$"""
            {
              "Ecm": { "Clients": {{Clients}} },
              "Hub": { "Listen": "127.0.0.1:0" }, "Admin": { "Listen": "127.0.0.1:0" }
            }
            """);
    }

    [Fact]
    public void TLS_of_links_is_configured_whole_and_at_both_ends_of_a_process()
    {
        Snapshot.Match(string.Join('\n',
        [
            Lines(
                """{ "Ecm": { "Link": { "To": "h:1", "Tls": { "Ca": "ca.pem", "Certificate": "/edge.pem" } } },"""
                + """ "Hub": { "Tls": { "Key": "/hub.key" } } }"""),
            Lines("""{ "Hub": { "Tls": true } }"""),
            Lines("""{ "Ecm": { "Link": { "Tls": {} } } }"""),
            Lines("""{ "Ecm": true, "Hub": { "Tls": { "Certificate": "/hub.pem", "Key": "/hub.key" } } }"""),
            Lines("""{ "Ecm": { "Link": { "Tls": true } }, "Hub": true }"""),
            Lines("""{ "Ecm": { "Tls": { "Certificates": [ { "Certificate": "/c.pem", "Key": "/k.pem" } ] } } }"""),
        ]));
    }

    [Fact]
    public void Channel_bindings_are_sent_only_where_nobody_can_change_them()
    {
        const string Clients = """ "Clients": [ { "Listen": "0.0.0.0:1", "Tls": "direct" } ], "Tls": { "ChannelBinding": true, "Certificates": [ {""";
        const string Certificate = """ "Certificate": "/c.pem", "Key": "/k.pem" } ] }""";
        Snapshot.Match(string.Join('\n',
        [
            Lines($$"""{ "Ecm": { {{Clients}}{{Certificate}}, "Link": { "To": "192.0.2.1:6280" } } }"""),
            Lines($$"""{ "Ecm": { {{Clients}}{{Certificate}}, "Proxy": "v2", "Link": { "To": "192.0.2.1:6280" } } }"""),
            Lines($$"""{ "Ecm": { {{Clients}}{{Certificate}}, "Proxy": "v2", "Link": { "To": "hub.example.org:6280", "Tls": true } } }"""),
            Lines($$"""{ "Ecm": { {{Clients}}{{Certificate}}, "Proxy": "v2", "Link": { "To": "localhost:6280" } } }"""),
        ]));
    }

    [Fact]
    public void All_listeners_frame_alike_and_their_stanzas_fit_the_link()
    {
        Snapshot.Match(Lines("""
            {
              "Ecm": {
                "Clients": [
                  { "Listen": "0.0.0.0:1", "Framing": "stanza", "MaxStanzaBytes": 262145 },
                  { "Listen": "0.0.0.0:2", "Framing": "stanza" },
                  { "Listen": "0.0.0.0:3" }
                ],
                "Link": { "RingBytes": 1048576 }, "MaxPacketBytes": 262176
              }
            }
            """));
    }

    [Fact]
    public void A_listener_for_the_web_is_configured_as_one()
    {
        Snapshot.Match(Lines("""
            {
              "Ecm": {
                "Clients": [
                  { "Listen": "0.0.0.0:1", "Framing": "web", "Tls": "starttls", "Web": { "Path": "ws", "HttpTo": "localhost:0" } },
                  { "Listen": "0.0.0.0:2", "Framing": "stanza", "Web": { "Path": "/ws" } },
                  { "Listen": "0.0.0.0:3", "Framing": "web", "Web": {
                      "Origins": [ "https://example.org/", "example.org", "*" ], "ForwardedFrom": [ "10.1.0.0/8", "10.0.0.1" ], "Ping": "500ms" } },
                  { "Listen": "0.0.0.0:4" }
                ],
                "Tls": { "Certificates": [ { "Certificate": "/a.pem", "Key": "/a.key" } ] },
                "Drain": { "SeeOtherUri": "https://b.example/ws" }
              }
            }
            """));
    }

    [Fact]
    public void The_longest_stanza_fits_the_memory_for_incomplete_ones()
    {
        const string Json = """
            {
              "Ecm": {
                "Clients": [ { "Listen": "0.0.0.0:1", "Framing": "stanza", "MaxStanzaBytes": 2000000 } ],
                "MaxPacketBytes": 4000000, "Link": { "RingBytes": 8388608 }, "IncompleteBytes": 1999999
              }
            }
            """;
        Assert.Equal(
            [
                "Ecm:IncompleteBytes \"1999999\" from FILE: must not be below the longest Ecm:Clients:N:MaxStanzaBytes, "
                + "which is 2000000 (this is 1999999); for example 2000000",
            ],
            Configured.Load(Json).Problems);
        Configured.Right(Json.Replace("1999999", "2000000", StringComparison.Ordinal));
    }

    [Fact]
    public void More_listeners_than_a_client_can_name_are_too_many()
    {
        string clients = string.Join(',', Enumerable.Range(1, 257).Select(port => $$"""{ "Listen": "0.0.0.0:{{port}}" }"""));
        Assert.Equal(
            ["Ecm:Clients: lists 257 addresses, and 256 are possible; for example fewer, or one on 0.0.0.0 for all"],
            Configured.Load($$"""{ "Ecm": { "Clients": [ {{clients}} ] } }""").Problems);
    }

    [Fact]
    public void Each_unknown_key_has_a_line_with_the_nearest_one()
    {
        Snapshot.Match(Lines(
            """{ "Ecm": { "Client": [ { "Listen": "0.0.0.0:5222" } ], "Links": { "To": "h:1" }, "MaxClients": { "Soft": 1 } },"""
            + """ "Hub": { "Secrets": "never printed" } }""",
            [("MEGAPHONE_ECM_PROXY", "v1"), ("MEGAPHONE_HUB__MAXSESSION", "1")],
            "--Serivce:StopTimeout", "00:00:01", "--Verbose=true"));
    }

    [Fact]
    public void A_section_holds_keys_and_some_are_switched_with_true_and_false()
    {
        Snapshot.Match(string.Join('\n',
        [
            Lines("""{ "Ecm": 1, "Hub": "tcp://127.0.0.1:5222", "Admin": "127.0.0.1:6281", "Service": true, "Logging": { "LogLevel": "Debug" } }"""),
            Lines("""{ "Ecm": { "Clients": "0.0.0.0:5222", "Link": false } }"""),
            Lines("""{ "Ecm": false, "Hub": false }"""),
        ]));
    }

    [Fact]
    public void An_empty_section_has_a_line_that_says_what_to_write_instead()
    {
        Snapshot.Match(string.Join('\n',
        [
            Lines("""{ "Ecm": {}, "Hub": null, "Admin": [], "Service": {}, "Logging": { "LogLevel": null } }"""),
            Lines("""{ "Ecm": { "Clients": [], "Link": { "Tls": {} } } }"""),
            Lines("""{ "Ecm": { "Clients": [ {}, { "Listen": "0.0.0.0:5222" } ] } }"""),
            Lines("{}", [("MEGAPHONE_ADMIN", "")], "--Hub="),
        ]));
    }

    [Fact]
    public void Each_line_names_the_source_that_had_the_last_word()
    {
        Snapshot.Match(Lines(
            """{ "Ecm": { "MaxClients": 0, "CloseRate": 0, "Backlog": 0 }, "Hub": { "Secret": "short" } }""",
            [("MEGAPHONE_ECM__CLOSERATE", "-1"), ("megaphone_ecm__backlog", "-1"), ("MEGAPHONE_HUB__RINGBYTES", "3M")],
            "--ecm:backlog", "-2", "--Ecm:Link:Secret=short"));
    }

    [Fact]
    public void A_secret_is_never_printed_wherever_it_comes_from_and_however_its_key_is_misspelt()
    {
        const string Secret = "hunter2";
        Assert.Equal(["Ecm:Link:Secret", "Hub:Secret"], SettingKeys.All.Where(key => key.IsSecret).Select(key => key.Path));
        string lines = Lines(
            $$"""{ "Hub": { "Secret": "{{Secret}}", "Scret": "{{Secret}}", "Password": "{{Secret}}" } }""",
            [("MEGAPHONE_ECM__LINK__SECRET", Secret), ("MEGAPHONE_HUB_SECRET", Secret)],
            $"--Hub:Sekret={Secret}");

        Assert.Equal(6, lines.Split('\n').Length);
        Assert.DoesNotContain(Secret, lines, StringComparison.Ordinal);
    }

    [Fact]
    public void The_command_line_has_its_own()
    {
        Snapshot.Match(Lines("{}", [], "5222", "--", "-v", "--Ecm:Proxy", "--Hub:Listen", "127.0.0.1:1", "--config"));
    }

    [Theory]
    [InlineData(
        "{ \"Ecm\": {}\n  \"Hub\": {} }",
        "FILE, line 2, column 3: is not JSON: '\"' is invalid after a value. Expected either ',', '}', or ']'; "
        + "for example { \"Ecm\": { \"MaxClients\": 20000 }, \"Hub\": false }")]
    [InlineData(
        "[]",
        "FILE: must hold one JSON object, with each key once: Top-level JSON element must be an object. Instead, 'Array' was found; "
        + "for example { \"Ecm\": { \"MaxClients\": 20000 }, \"Hub\": false }")]
    [InlineData(
        "{ \"Hub\": { \"Name\": \"a\", \"name\": \"b\" } }",
        "FILE: must hold one JSON object, with each key once: A duplicate key 'Hub:name' was found; "
        + "for example { \"Ecm\": { \"MaxClients\": 20000 }, \"Hub\": false }")]
    public void A_file_that_is_no_such_JSON_is_named_with_line_and_column(string json, string line)
    {
        Assert.Equal([line], Configured.Load(json).Problems);
    }

    [Fact]
    public void A_named_file_must_exist()
    {
        Assert.Equal(
            ["/nonexistent/megaphone.json: does not exist; for example --config /etc/megaphone/megaphone.json"],
            Configured.Load("{}", [], "--config", "/nonexistent/megaphone.json").Problems);
        foreach (string folder in new[] { "/etc", "/" })
        {
            Assert.Equal(
                [$"{folder}: is a directory; for example --config /etc/megaphone/megaphone.json"],
                Configured.Load("{}", [], "--config", folder).Problems);
        }

        // What a shell makes of "$FILE" when there is no such variable.
        Assert.Equal(
            ["--config: has no value; for example --config /etc/megaphone/megaphone.json"],
            Configured.Load("{}", [], "--config", "").Problems);
    }

    private static string Lines(string json, (string Name, string Value)[]? environment = null, params string[] arguments) =>
        string.Join('\n', Configured.Load(json, environment, arguments).Problems);
}
