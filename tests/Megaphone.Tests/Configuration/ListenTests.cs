using System.Net;
using System.Text.RegularExpressions;
using Megaphone.Configuration;
using Megaphone.Hosting;
using Xunit;

namespace Megaphone.Tests.Configuration;

/// <summary>How the addresses that are listened on are written.</summary>
public class ListenTests
{
    [Theory]
    [InlineData("*:5222", "[::]:5222")]
    [InlineData("*:0", "[::]:0")]
    [InlineData("[::]:5222", "[::]:5222")]
    [InlineData("0.0.0.0:5222", "0.0.0.0:5222")]
    [InlineData("localhost:5222", "127.0.0.1:5222")]
    public void An_asterisk_is_all_addresses_of_IPv4_and_IPv6(string written, string listen)
    {
        Settings settings = Configured.Right($$"""
            {
              "Ecm": { "Clients": [ { "Listen": "{{written}}" } ] },
              "Hub": { "Listen": "{{written.Replace("5222", "6280", StringComparison.Ordinal)}}", "AllowOpenListener": true },
              "Admin": { "Listen": "{{written.Replace("5222", "6281", StringComparison.Ordinal)}}" }
            }
            """);
        Assert.Equal(
            [listen, listen.Replace("5222", "6280", StringComparison.Ordinal), listen.Replace("5222", "6281", StringComparison.Ordinal)],
            settings.Listeners.Select(listener => $"{listener.Address}"));
    }

    [Theory]
    [InlineData("*")]
    [InlineData("*:")]
    [InlineData("*:65536")]
    [InlineData("[*]:5222")]
    [InlineData("*.example.org:5222")]
    public void What_only_looks_like_it_is_refused(string written)
    {
        string line = Assert.Single(Problems($$"""{ "Ecm": { "Clients": [ { "Listen": "{{written}}" } ] } }"""));
        string key = $"Ecm:Clients:0:Listen \"{Regex.Escape(written)}\" from FILE: ";
        Assert.Matches($@"^{key}must be (ADDRESS:PORT|an address of this machine), .+\*:5222", line);
    }

    [Fact]
    public void Nobody_connects_to_all_addresses()
    {
        Assert.Equal(
            [
                "Ecm:Link:To \"*:6280\" from FILE: must be HOST:PORT, an IPv6 address in brackets, the port from 1 to 65535; "
                + "for example hub.example.org:6280 or [::1]:6280",
            ],
            Problems("""{ "Ecm": { "Link": { "To": "*:6280" } } }"""));
        Assert.Equal(
            [
                "Hub:Backend \"tcp://*:5222\" from FILE: must be tcp://HOST:PORT or echo:, an IPv6 address in brackets, the port from 1 to 65535; "
                + "for example tcp://127.0.0.1:5222 or echo:",
            ],
            Problems("""{ "Hub": { "Backend": "tcp://*:5222" } }"""));
        Assert.Equal(
            [
                "Ecm:Clients:0:Web:HttpTo \"*:5280\" from FILE: must be ADDRESS:PORT, an IPv6 address in brackets, the port from 1 to 65535; "
                + "for example 127.0.0.1:5280",
            ],
            Problems("""{ "Ecm": { "Clients": [ { "Listen": "*:443", "Framing": "web", "Web": { "HttpTo": "*:5280" } } ] } }"""));
    }

    [Fact]
    public void It_overlaps_every_other_address_on_its_port()
    {
        foreach (string other in (string[])["0.0.0.0:5222", "127.0.0.1:5222", "[::1]:5222", "[::]:5222"])
        {
            string line = Assert.Single(Problems($$"""{ "Ecm": { "Clients": [ { "Listen": "*:5222" }, { "Listen": "{{other}}" } ] } }"""));
            Assert.StartsWith(
                $"Ecm:Clients:1:Listen \"{other}\" from FILE: overlaps Ecm:Clients:0:Listen, which is [::]:5222 (this is {other}): "
                + "only one of them can be listened on",
                line,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_hub_on_all_addresses_wants_a_secret() => Assert.StartsWith(
        "Hub:Listen \"*:6280\" from FILE: is reachable from outside",
        Assert.Single(Problems("""{ "Hub": { "Listen": "*:6280" } }""")),
        StringComparison.Ordinal);

    [Fact]
    public void Clients_may_connect_to_a_Unix_socket_through_a_proxy_or_without()
    {
        Settings settings = Configured.Right("""
            {
              "Ecm": {
                "Clients": [
                  { "Listen": "unix:/run/megaphone/clients.sock", "ProxyFrom": [ "unix" ], "Framing": "stanza" },
                  { "Listen": "unix:/run/megaphone/web.sock", "SocketMode": "0666", "Framing": "web", "Web": { "ForwardedFrom": [ "unix" ] } },
                  { "Listen": "unix:/run/megaphone/plain.sock", "SocketMode": 600, "Framing": "stanza" },
                  { "Listen": "*:5222", "ProxyFrom": [ "10.0.0.0/8" ], "Framing": "stanza" }
                ]
              }
            }
            """);
        Assert.Equal(
            ["unix:/run/megaphone/clients.sock", "unix:/run/megaphone/web.sock", "unix:/run/megaphone/plain.sock", "[::]:5222", "127.0.0.1:6281"],
            settings.Listeners.Select(listener => $"{listener.Address}"));
        Assert.Equal(
            [(true, 0), (false, 0), (false, 0), (false, 1)],
            settings.Ecm!.Clients.Select(client => (client.ProxyFromUnix, client.ProxyFrom.Count)));
        Assert.Equal(["660", "666", "600", "660"], settings.Ecm.Clients.Select(client => Convert.ToString((int)client.SocketMode, 8)));
        Assert.True(settings.Ecm.Clients[1].Web!.ForwardedFromUnix);
    }

    [Theory]
    [InlineData("clients.sock", "must be unix: and the full path of a socket, of at most 107 bytes")]
    [InlineData("", "must be unix: and the full path of a socket, of at most 107 bytes")]
    [InlineData("/run/megaphone/", "must be unix: and the full path of a socket, of at most 107 bytes")]
    public void A_path_that_cannot_be_is_told(string path, string wrong) => Assert.Equal(
        [
            $"Ecm:Clients:0:Listen \"unix:{path}\" from FILE: {wrong}; "
            + "for example 127.0.0.1:5222, [::1]:5222, *:5222 or unix:/run/megaphone/clients.sock",
        ],
        Problems($$"""{ "Ecm": { "Clients": [ { "Listen": "unix:{{path}}" } ] } }"""));

    [Fact]
    public void What_is_for_a_Unix_socket_and_what_is_for_an_address_is_told_apart()
    {
        Assert.Equal(
            [
                "Ecm:Clients:0:ProxyFrom:0 \"10.0.0.0/8\" from FILE: must be unix, since Ecm:Clients:0:Listen is unix:/run/a.sock: "
                + "nobody connects from a network there; for example unix",
                "Ecm:Clients:1:SocketMode \"0666\" from FILE: is for a Unix socket, and Ecm:Clients:1:Listen is 127.0.0.1:5222; "
                + "for example leave it out, or unix:/run/megaphone/links.sock as Ecm:Clients:1:Listen",
                "Ecm:Clients:1:ProxyFrom:0 \"unix\" from FILE: is for a Unix socket, and Ecm:Clients:1:Listen is 127.0.0.1:5222; "
                + "for example 10.0.0.0/8 or 2001:db8::1/128",
            ],
            Problems("""
                {
                  "Ecm": { "Clients": [
                    { "Listen": "unix:/run/a.sock", "ProxyFrom": [ "10.0.0.0/8", "unix" ] },
                    { "Listen": "127.0.0.1:5222", "ProxyFrom": [ "unix" ], "SocketMode": "0666" } ] }
                }
                """));
        Assert.Equal(
            [
                "Ecm:Clients:0:SocketMode \"rw-rw----\" from FILE: must be the mode of a file, in three octal digits behind a zero; for example 0666",
                "Ecm:Clients:0:ProxyFrom:0 \"unix:\" from FILE: must be ADDRESS/BITS, with no bit set behind these; "
                + "or unix, who connects over a Unix socket; for example 10.0.0.0/8 or unix",
            ],
            Problems("""
                { "Ecm": { "Clients": [ { "Listen": "unix:/run/a.sock", "ProxyFrom": [ "unix:" ], "SocketMode": "rw-rw----" } ] } }
                """)
                .OrderDescending(StringComparer.Ordinal));
    }

    [Fact]
    public void Links_may_go_over_a_Unix_socket_which_needs_no_secret_since_its_file_says_who_may_connect()
    {
        Settings settings = Configured.Right("""
            {
              "Ecm": { "Link": { "To": [ "unix:/run/megaphone/links.sock", "node.example.org:6280" ] } },
              "Hub": { "Listen": "unix:/run/megaphone/links.sock", "SocketMode": "0600" }
            }
            """);
        Assert.Equal("unix:/run/megaphone/links.sock", $"{settings.Hub!.Listen}");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, settings.Hub.SocketMode);
        Assert.Equal(["unix:/run/megaphone/links.sock", "node.example.org:6280"], settings.Ecm!.Connect.To.Select(to => $"{to}"));
        Assert.Equal([false, true], settings.Targets.Select(target => target.IsElsewhere));
        Assert.False(settings.LinksToOwnHub);
        Assert.True(Configured.Right("""{ "Ecm": true, "Hub": { "Listen": "unix:/run/megaphone/links.sock" } }""").LinksToOwnHub);
    }

    [Fact]
    public void What_cannot_be_of_a_link_over_a_Unix_socket_is_told()
    {
        Assert.Equal(
            [
                "Ecm:Link:To \"unix:links.sock\" from FILE: must be unix: and the full path of a socket, of at most 107 bytes; "
                + "for example hub.example.org:6280 or [::1]:6280",
            ],
            Problems("""{ "Ecm": { "Link": { "To": "unix:links.sock" } } }"""));
        Assert.Equal(
            [
                "Ecm:Link:Tls:Name: must be given, since links go to unix:/run/a.sock: a Unix socket has no name for a certificate; "
                + $"for example {SettingKeys.LinkTlsName.Example}",
            ],
            Problems("""{ "Ecm": { "Link": { "To": "unix:/run/a.sock", "Tls": true } } }"""));
        Assert.Equal(
            [
                "Hub:SocketMode \"0666\" from FILE: is for a Unix socket, and Hub:Listen is 127.0.0.1:6280; "
                + "for example leave it out, or unix:/run/megaphone/links.sock as Hub:Listen",
            ],
            Problems("""{ "Hub": { "SocketMode": "0666" } }"""));
        Assert.Single(Problems("""{ "Hub": { "Backend": "unix:/run/ejabberd/c2s.sock" } }"""));
    }

    [Fact]
    public void One_path_is_listened_on_once_the_operators_included()
    {
        Assert.Equal(
            [
                "Ecm:Clients:1:Listen \"unix:/run//a.sock\" from FILE: overlaps Ecm:Clients:0:Listen, which is unix:/run/a.sock "
                + "(this is unix:/run/a.sock): only one of them can be listened on; for example unix:/run/megaphone/others.sock, "
                + "or one of the two alone",
                "Admin:Socket \"/run/a.sock\" from FILE: overlaps Ecm:Clients:0:Listen, which is unix:/run/a.sock "
                + "(this is unix:/run/a.sock): only one of them can be listened on; for example /run/megaphone/admin.sock, or one of the two alone",
            ],
            Problems("""
                {
                  "Ecm": { "Clients": [ { "Listen": "unix:/run/a.sock" }, { "Listen": "unix:/run//a.sock" } ] },
                  "Admin": { "Socket": "/run/a.sock" }
                }
                """));
    }

    [Theory]
    [InlineData("[::]:6281", "127.0.0.1:6281")]
    [InlineData("0.0.0.0:6281", "127.0.0.1:6281")]
    [InlineData("[::1]:6281", "[::1]:6281")]
    [InlineData("192.0.2.1:6281", "192.0.2.1:6281")]
    public void All_addresses_are_reached_over_IPv4_which_every_machine_has(string listen, string reached) =>
        Assert.Equal(IPEndPoint.Parse(reached), MegaphoneService.Reachable(IPEndPoint.Parse(listen)));

    private static IReadOnlyList<string> Problems(string json) => Configured.Load(json).Problems;
}
