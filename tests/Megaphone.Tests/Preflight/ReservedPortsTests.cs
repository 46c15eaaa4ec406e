using Megaphone.Preflight;
using Xunit;

namespace Megaphone.Tests.Preflight;

public class ReservedPortsTests
{
    [Theory]
    [InlineData("", 0)]
    [InlineData("5222,6280-6281", 3)]
    [InlineData("1-1100,65000-65535", 77 + 536)]
    public void Those_within_a_range_are_counted(string text, int count) =>
        Assert.Equal(count, new ReservedPorts(text).CountWithin(1024, 65_535));

    [Theory]
    [InlineData("", "5222,6280")]
    [InlineData("8080", "8080,5222,6280")]
    [InlineData("5000-6000", "5000-6000,6280")]
    [InlineData("5222,6280", "5222,6280")]
    public void More_are_added_to_those_that_there_are(string text, string more) =>
        Assert.Equal($"net.ipv4.ip_local_reserved_ports={more}", new ReservedPorts(text).With([6280, 5222, 6280]).ToString());
}
