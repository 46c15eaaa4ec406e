using System.Runtime.CompilerServices;
using Megaphone.Service;
using Xunit;

namespace Megaphone.Tests.Service;

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
        string line = File.ReadLines(Shipped("megaphone.service")).Single(line => line.StartsWith("TimeoutStopSec=", StringComparison.Ordinal));

        Assert.True(TimeSpan.FromSeconds(int.Parse(line.Split('=')[1].TrimEnd('s'))) > settings.StopTimeout);
    }

    private static string Shipped(string name, [CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "../../../packaging", name);
}
