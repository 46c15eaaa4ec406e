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
        Assert.Matches($"""^Ecm:Clients:0:Listen "{Regex.Escape(written)}" from FILE: must be (ADDRESS:PORT|an address of this machine), .+\*:5222""", line);
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

    [Theory]
    [InlineData("[::]:6281", "127.0.0.1:6281")]
    [InlineData("0.0.0.0:6281", "127.0.0.1:6281")]
    [InlineData("[::1]:6281", "[::1]:6281")]
    [InlineData("192.0.2.1:6281", "192.0.2.1:6281")]
    public void All_addresses_are_reached_over_IPv4_which_every_machine_has(string listen, string reached) =>
        Assert.Equal(IPEndPoint.Parse(reached), MegaphoneService.Reachable(IPEndPoint.Parse(listen)));

    private static IReadOnlyList<string> Problems(string json) => Configured.Load(json).Problems;
}
