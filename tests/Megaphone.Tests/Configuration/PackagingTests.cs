using System.Runtime.CompilerServices;
using Megaphone.Configuration;
using Xunit;

namespace Megaphone.Tests.Configuration;

public class PackagingTests
{
    [Fact]
    public void The_example_that_is_shipped_is_a_right_one()
    {
        Settings settings = Configured.Right(File.ReadAllText(Shipped("megaphone.json")));

        Assert.NotNull(settings.Ecm);
        Assert.NotNull(settings.Hub!.Backend);
    }

    [Fact]
    public void The_unit_leaves_time_for_the_longest_stop_of_the_example()
    {
        Settings settings = Configured.Right(File.ReadAllText(Shipped("megaphone.json")));
        Assert.True(TimeSpan.FromSeconds(int.Parse(InUnit("TimeoutStopSec").TrimEnd('s'))) > settings.StopTimeout);
    }

    [Fact]
    public void The_unit_does_not_repeat_a_wrong_configuration_and_takes_its_time_for_everything_else()
    {
        Assert.Equal("on-failure", InUnit("Restart"));
        Assert.Equal("2", InUnit("RestartPreventExitStatus"));
        Assert.InRange(int.Parse(InUnit("RestartSec").TrimEnd('s')), 5, 30);
        Assert.Equal("0", InUnit("StartLimitIntervalSec"));
    }

    private static string InUnit(string key) =>
        File.ReadLines(Shipped("megaphone.service")).Single(line => line.StartsWith(key + "=", StringComparison.Ordinal))[(key.Length + 1)..];

    private static string Shipped(string name, [CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "../../../packaging", name);
}
