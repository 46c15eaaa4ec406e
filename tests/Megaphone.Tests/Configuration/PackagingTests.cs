using System.Runtime.CompilerServices;
using Megaphone.Configuration;
using Megaphone.Ecm;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Configuration;

public class PackagingTests
{
    [Fact]
    public void The_example_that_is_shipped_is_an_ECM_in_front_of_ejabberd_with_the_module()
    {
        Settings settings = Configured.Right(File.ReadAllText(Shipped("megaphone.json")));

        Assert.Equal(LinkFraming.Stanza, settings.Ecm!.Link.Framing);
        Assert.Equal(ProxyMode.V2, settings.Ecm.Proxy);
        Assert.Null(settings.Hub);
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
