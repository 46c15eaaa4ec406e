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

    [Fact]
    public void An_unknown_command_is_told_with_those_that_there_are()
    {
        List<Problem> problems = [];
        CommandLine.Parse(["serve"], problems);

        Assert.Equal(
            "command \"serve\": is none of run, check, health, reload and bench; for example megaphone check", Assert.Single(problems).ToString());
    }
}
