using Megaphone.Service;
using Xunit;

namespace Megaphone.Tests.Service;

public class CommandLineTests
{
    [Fact]
    public void Help_names_every_key()
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
        Assert.Equal("a b", parsed.Settings["Hub:Name"]);
        Assert.Equal("--x=y", parsed.Settings["Hub:Secret"]);
    }

    [Fact]
    public void There_is_no_load_generator_in_this_version()
    {
        List<Problem> problems = [];
        CommandLine.Parse(["bench"], problems);

        Assert.Equal("command \"bench\": is none of run, check and health; for example megaphone check", Assert.Single(problems).ToString());
    }
}
