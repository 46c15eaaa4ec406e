using Megaphone.Cli;
using Megaphone.Tests.Snapshots;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Cli;

public class CommandLineTests
{
    [Fact]
    public void Help_shows_every_key_with_its_default_and_its_meaning()
    {
        Snapshot.Match(HelpText.Write().Replace(ProductVersion.Current, "VERSION", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", "Run")]
    [InlineData("run", "Run")]
    [InlineData("check", "Check")]
    [InlineData("--help", "Help")]
    [InlineData("check --config x --help", "Help")]
    [InlineData("--version", "Version")]
    public void The_first_word_is_the_command(string line, string command)
    {
        List<Problem> problems = [];
        CommandLine parsed = CommandLine.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries), problems);

        Assert.Empty(problems);
        Assert.Equal(command, parsed.Command.ToString());
    }

    [Fact]
    public void A_value_stands_after_its_key_or_after_an_equals_sign()
    {
        List<Problem> problems = [];
        CommandLine parsed = CommandLine.Parse(["run", "--config=f", "--Hub:Name", "a b", "--Hub:Secret=--x=y"], problems);

        Assert.Empty(problems);
        Assert.Equal("f", parsed.ConfigFile);
        Assert.Equal("a b", parsed.Settings["Hub:Name"].Text);
        Assert.Equal("--x=y", parsed.Settings["Hub:Secret"].Text);
    }

    [Fact]
    public void What_stands_behind_bench_is_left_to_it()
    {
        List<Problem> problems = [];
        CommandLine parsed = CommandLine.Parse(["bench", "link", "--help", "--to", "x"], problems);

        Assert.Empty(problems);
        Assert.Equal(Command.Bench, parsed.Command);
        Assert.Equal(["link", "--help", "--to", "x"], parsed.BenchArguments);
    }

    [Theory]
    [InlineData("status", "status", "")]
    [InlineData("clients --address 192.0.2.0/24 --limit=7", "clients", "address=192.0.2.0/24 limit=7")]
    [InlineData("kick 17", "kick", "id=17")]
    [InlineData("loglevel Megaphone.Links Debug", "loglevel", "category=Megaphone.Links level=Debug")]
    [InlineData("drain --over 5m --server a:1", "drain", "over=5m server=a:1")]
    public void What_an_operator_asks_for_has_its_parameters(string line, string name, string parameters)
    {
        List<Problem> problems = [];
        CommandLine parsed = CommandLine.Parse(line.Split(' '), problems);
        Assert.Empty(problems);
        Assert.Equal((Command.Operator, name, false), (parsed.Command, parsed.Operator!.Name, parsed.AsJson));
        Assert.Equal(parameters, string.Join(' ', parsed.Parameters.Select(one => $"{one.Key}={one.Value}")));
    }

    [Theory]
    [InlineData("kick --json 17")]
    [InlineData("kick 17 --json --config f")]
    public void Json_takes_no_value(string line)
    {
        List<Problem> problems = [];
        CommandLine parsed = CommandLine.Parse(line.Split(' '), problems);
        Assert.Empty(problems);
        Assert.True(parsed.AsJson);
        Assert.Equal("17", parsed.Parameters["id"]);
    }

    [Theory]
    [InlineData("undrain --over 5m", "--over \"5m\": is no option of megaphone undrain; `megaphone --help` lists them")]
    [InlineData("kick 17 18", "command line \"18\": is neither an option nor the value of one; for example --Ecm:MaxClients 20000")]
    [InlineData("clients --limit", "--limit: has no value; for example --limit VALUE, or --limit=VALUE when the value begins with --")]
    public void What_it_does_not_take_is_told(string line, string problem)
    {
        List<Problem> problems = [];
        CommandLine.Parse(line.Split(' '), problems);
        Assert.Equal(problem, Assert.Single(problems).ToString());
    }

    [Fact]
    public void An_unknown_command_is_told_with_those_that_there_are()
    {
        List<Problem> problems = [];
        CommandLine.Parse(["serve"], problems);

        Assert.Equal(
            "command \"serve\": is none of run, check, health, reload, status, clients, kick, drain, undrain, loglevel, config and bench; "
            + "for example megaphone check",
            Assert.Single(problems).ToString());
    }
}
