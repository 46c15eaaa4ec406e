using Megaphone.Bench;
using Megaphone.Protocol;
using Megaphone.Tests.Snapshots;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Bench;

public class BenchOptionsTests
{
    [Fact]
    public void The_help_names_every_mode() =>
        Snapshot.Match(BenchHelp.Write().Replace(ProductVersion.Current, "VERSION", StringComparison.Ordinal));

    [Theory]
    [InlineData("connect")]
    [InlineData("echo")]
    [InlineData("xmpp")]
    [InlineData("link")]
    [InlineData("flood")]
    [InlineData("echo-server")]
    [InlineData("chart")]
    public void No_mode_has_an_option_twice(string mode)
    {
        string[] names = [.. BenchMode.Find(mode)!.Options.Select(option => option.Name)];
        Assert.Equal(names.Distinct(), names);
    }

    [Fact]
    public void The_help_of_each_mode_names_every_option() => Snapshot.Match(string.Join('\n', BenchMode.All.Select(BenchHelp.Write)));

    [Fact]
    public void Each_invalid_option_is_reported() => Snapshot.Match(Problems(
        "link",
        "--to", "hub", "--clients", "0", "--links=65", "--framing", "xml", "--secret", "short", "--proxy", "v3", "--login", "digest-md5",
        "--domain", "a b", "--user", "", "--rate", "-1", "--pending", "many", "--hold", "1:00", "--keepalives", "0",
        "--messages", "-1", "--message-rate", "1e9", "--message-bytes", "0", "--senders", "-1", "--end", "slam", "--patience", "x",
        "--watch", "1,x", "--json=", "--cliens", "5", "--", "extra", "--after"));

    [Fact]
    public void Missing_and_conflicting_options_are_reported() => Snapshot.Match(Problems(
        "link", "--sessions", "3", "--links", "4", "--keepalives", "10", "--senders", "3"));

    [Theory]
    [InlineData("connect", "--to: is missing; for example hub.example.org:6280 or [::1]:6280\n--clients: is missing; for example 10000")]
    [InlineData("echo", "--to: is missing; for example hub.example.org:6280 or [::1]:6280")]
    [InlineData("xmpp", "--to: is missing; for example hub.example.org:6280 or [::1]:6280\n--clients: is missing; for example 100000")]
    [InlineData("flood", "--to: is missing; for example hub.example.org:6280 or [::1]:6280")]
    [InlineData("echo-server", "--listen: is missing; for example hub.example.org:6280 or [::1]:6280")]
    [InlineData("chart", "--curves: is missing; for example result.json\n--svg: is missing; for example result.json")]
    public void Each_missing_required_option_is_reported(string mode, string problems) => Assert.Equal(problems, Problems(mode));

    [Theory]
    [InlineData("--stream-management")]
    [InlineData("--roster")]
    public void What_follows_a_login_needs_one(string option) => Assert.Equal(
        $"{option} \"yes\": means nothing without a login (--login none); for example --login anonymous",
        Problems("xmpp", "--to", "127.0.0.1:1", "--sessions", "1", "--login", "none", option, "yes"));

    [Theory]
    [InlineData("127.0.0.0/7")]
    [InlineData("127.0.0.0/33")]
    [InlineData("127.0.0.0/")]
    [InlineData("::1")]
    [InlineData("here")]
    public void An_invalid_range_of_addresses_is_refused(string from) => Assert.Equal(
        $"--from \"{from}\": must be an IPv4 address, or one with 8 to 32 bits of a prefix; for example 127.64.0.0/10",
        Problems("echo", "--to", "127.0.0.1:1", "--from", from));

    [Theory]
    [InlineData("--tls \"ssl\": must be none, direct or starttls; for example none", "--tls", "ssl")]
    [InlineData("--tls-version \"1.1\": must be 1.2 or 1.3; for example 1.2", "--tls", "direct", "--tls-version", "1.1")]
    [InlineData("--tls-cipher \"rc4\": must be aes128, aes256 or chacha20; for example aes128", "--tls", "direct", "--tls-cipher", "rc4")]
    [InlineData("--server-name \"a b\": must be a domain; for example example.org", "--tls", "direct", "--server-name", "a b")]
    [InlineData("--ca \"\": must name a file; for example ca.pem", "--tls", "direct", "--ca=")]
    [InlineData("--ca \"none\": means nothing without TLS; for example --tls direct", "--ca", "none")]
    [InlineData("--server-name \"a.example\": means nothing without TLS; for example --tls direct", "--server-name", "a.example")]
    [InlineData("--tls-version \"1.2\": means nothing without TLS; for example --tls direct", "--tls-version=1.2")]
    [InlineData("--tls-cipher \"aes256\": means nothing without TLS; for example --tls direct", "--tls-cipher=aes256")]
    public void Options_of_TLS_are_checked(string problem, params string[] arguments) =>
        Assert.Equal(problem, Problems("echo", ["--to", "127.0.0.1:1", .. arguments]));

    [Theory]
    [InlineData("--web \"http\": must be none, ws or wss; for example none", "--web", "http")]
    [InlineData("--web \"ws\": is without TLS; for example --web wss", "--web", "ws", "--tls", "direct")]
    [InlineData("--web \"wss\": begins with TLS, and negotiates none; for example --tls direct", "--web", "wss", "--tls", "starttls")]
    [InlineData("--ca \"none\": means nothing without TLS; for example --tls direct", "--web", "ws", "--ca", "none")]
    [InlineData("--open-after \"1\": means nothing without WebSocket; for example --web wss", "--open-after", "1")]
    [InlineData("--web-path \"/ws\": means nothing without WebSocket; for example --web wss", "--web-path", "/ws")]
    [InlineData(
        "--web-path \"ws\": must begin with a slash and be as clients write it in their URL, up to ? and #; for example /ws",
        "--web", "ws", "--web-path", "ws")]
    public void Options_of_WebSockets_are_checked(string problem, params string[] arguments) =>
        Assert.Equal(problem, Problems("xmpp", ["--to", "127.0.0.1:1", "--sessions", "1", .. arguments]));

    [Theory]
    [InlineData(null, null)]
    [InlineData("/ws", null, "--web", "ws")]
    [InlineData("/xmpp", null, "--web", "ws", "--web-path", "/xmpp")]
    [InlineData("/ws", "server.example", "--web", "wss")]
    [InlineData("/ws", "other.example", "--web", "wss", "--tls", "direct", "--server-name", "other.example")]
    public void A_WebSocket_has_a_path_and_wss_is_with_TLS(string? path, string? secured, params string[] arguments)
    {
        List<Problem> problems = [];
        XmppBenchOptions options = XmppBenchOptions.Read(
            new OptionValues(BenchMode.Find("xmpp")!, ["--to", "server.example:5443", "--sessions", "1", .. arguments], problems));

        Assert.Empty(problems);
        Assert.Equal((path, secured), (options.WebPath, options.Tcp.Tls?.ServerName));
    }

    [Theory]
    [InlineData("server.example", true, null, 0, "--tls", "direct")]
    [InlineData("server.example", true, "ca.pem", 0, "--tls", "direct", "--ca", "ca.pem")]
    [InlineData("other.example", false, null, 0x0303, "--tls", "direct", "--ca", "none", "--server-name", "other.example", "--tls-version", "1.2")]
    public void The_server_is_checked_by_the_name_of_the_target_unless_told_otherwise(
        string name, bool isChecked, string? authorities, int version, params string[] arguments)
    {
        List<Problem> problems = [];
        TlsClientOptions tls = EchoBenchOptions.Read(
            new OptionValues(BenchMode.Find("echo")!, ["--to", "server.example:5223", .. arguments], problems)).Tcp.Tls!;

        Assert.Empty(problems);
        Assert.Equal((name, isChecked, authorities, version), (tls.ServerName, tls.ChecksCertificate, tls.Authorities, tls.Version));
    }

    [Theory]
    [InlineData("10.1.2.3", 0, "10.1.2.3")]
    [InlineData("10.1.2.3", 7, "10.1.2.3")]
    [InlineData("10.1.2.3/24", 0, "10.1.2.1")]
    [InlineData("10.1.2.3/24", 253, "10.1.2.254")]
    [InlineData("10.1.2.3/24", 254, "10.1.2.1")]
    [InlineData("127.64.0.0/10", 256, "127.64.1.1")]
    public void Connections_come_from_the_addresses_of_a_range_in_turn(string from, int connection, string address) =>
        Assert.Equal(address, SourceAddresses.Parse(from)!.Of(connection).ToEndPoint().Address.ToString());

    [Fact]
    public void Omitted_options_have_the_defaults_that_the_help_gives()
    {
        List<Problem> problems = [];
        LinkBenchOptions options = LinkBenchOptions.Read(
            new OptionValues(BenchMode.Find("link")!, ["--to", "[::1]:6280", "--sessions=1000"], problems));

        Assert.Empty(problems);
        Assert.Equal(("::1", 6280, 1000, 1), (options.To.Host, options.To.Port, options.Clients.Sessions, options.Links));
        Assert.Equal((LinkFraming.Stanza, LoginMethod.Anonymous, 500), (options.Framing, options.Clients.Login.Method, options.Clients.Pending));
        Assert.Equal("user12", options.Clients.Login.UserOf(12));
        Assert.Equal("pass12", options.Clients.Login.PasswordOf(12));
        Assert.Equal((0.0, 0, false), (options.Clients.Rate, options.Clients.Messages, options.Clients.Cut));
        Assert.Null(options.Run.Json);
    }

    [Theory]
    [InlineData("connect")]
    [InlineData("echo")]
    [InlineData("xmpp")]
    [InlineData("link")]
    [InlineData("flood")]
    public void How_many_clients_there_are_has_one_name_in_all_modes_and_two_older_ones(string mode) => Assert.All(
        ["clients", "connections", "sessions"],
        name =>
        {
            List<Problem> problems = [];
            BenchMode found = BenchMode.Find(mode)!;
            OptionValues values = new(found, ["--to", "127.0.0.1:1", $"--{name}", "7"], problems);
            found.Read(values);

            Assert.Empty(problems);
            Assert.Equal("7", values.InForce["clients"]);
        });

    [Fact]
    public void What_is_told_of_a_run_are_the_options_with_their_defaults_but_no_secret()
    {
        BenchMode link = BenchMode.Find("link")!;
        OptionValues values = new(
            link, ["--to", "127.0.0.1:1", "--clients", "7", "--secret", "open-sesame", "--login", "plain", "--password", "p{0}"], []);
        link.Read(values);

        Assert.Equal(("plain", "user{0}", "500"), (values.InForce["login"], values.InForce["user"], values.InForce["pending"]));
        Assert.DoesNotContain("secret", values.InForce.Keys);
        Assert.DoesNotContain("password", values.InForce.Keys);
        Assert.DoesNotContain("rate", values.InForce.Keys);
    }

    private static string Problems(string mode, params string[] arguments)
    {
        List<Problem> problems = [];
        BenchMode found = BenchMode.Find(mode)!;
        found.Read(new OptionValues(found, arguments, problems));
        return string.Join('\n', problems.Select(problem => problem.ToString()));
    }
}
