using Megaphone.Bench;
using Megaphone.Protocol;
using Megaphone.Service;
using Xunit;

namespace Megaphone.Tests.Bench;

public class BenchOptionsTests
{
    [Fact]
    public void The_help_names_every_mode() =>
        Snapshot.Match(BenchHelp.Write().Replace(ProductVersion.Current, "VERSION", StringComparison.Ordinal));

    [Fact]
    public void The_help_of_link_names_every_option() => Snapshot.Match(BenchHelp.WriteMode("link"));

    [Fact]
    public void Each_wrong_option_of_link_has_a_line() => Snapshot.Match(string.Join('\n', Problems(
        "--to", "hub", "--sessions", "0", "--links=65", "--framing", "xml", "--secret", "short", "--proxy", "v3", "--login", "digest-md5", "--domain", "a b",
        "--user", "", "--rate", "-1", "--pending", "many", "--hold", "1:00", "--keepalives", "0", "--messages", "-1", "--message-rate", "1e9",
        "--message-bytes", "0", "--end", "slam", "--patience", "x", "--watch", "1,x", "--json=", "--sesions", "5", "--", "extra", "--after")));

    [Fact]
    public void What_must_be_there_and_what_does_not_go_together_has_a_line_too() => Snapshot.Match(string.Join('\n', Problems(
        "--sessions", "3", "--links", "4", "--keepalives", "10")));

    [Fact]
    public void What_is_not_given_is_what_the_help_says()
    {
        List<Problem> problems = [];
        LinkBenchOptions options = LinkBenchOptions.Read(["--to", "[::1]:6280", "--sessions=1000"], problems);

        Assert.Empty(problems);
        Assert.Equal(("::1", 6280, 1000, 1), (options.To.Host, options.To.Port, options.Sessions, options.Links));
        Assert.Equal((LinkFraming.Stanza, LoginMethod.Anonymous, 500), (options.Framing, options.Login.Method, options.Pending));
        Assert.Equal("user12", options.Login.UserOf(12));
        Assert.Equal("pass12", options.Login.PasswordOf(12));
        Assert.Equal((0.0, 0, false), (options.Rate, options.Messages, options.Cut));
        Assert.Null(options.Json);
    }

    private static IEnumerable<string> Problems(params string[] arguments)
    {
        List<Problem> problems = [];
        LinkBenchOptions.Read(arguments, problems);
        return problems.Select(problem => problem.ToString());
    }
}
