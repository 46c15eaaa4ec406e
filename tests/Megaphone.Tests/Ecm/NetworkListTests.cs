using System.Net;
using Megaphone.Ecm;
using Megaphone.Interop;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class NetworkListTests
{
    [Theory]
    [InlineData("10.0.0.0/8", "10.255.0.1", true)]
    [InlineData("10.0.0.0/8", "11.0.0.1", false)]
    [InlineData("10.0.0.0/8", "::ffff:10.1.2.3", true)]
    [InlineData("::ffff:10.0.0.0/104", "10.1.2.3", true)]
    [InlineData("192.0.2.7/32", "192.0.2.7", true)]
    [InlineData("192.0.2.7/32", "192.0.2.6", false)]
    [InlineData("0.0.0.0/0", "192.0.2.7", true)]
    [InlineData("0.0.0.0/0", "2001:db8::1", false)]
    [InlineData("::/0", "2001:db8::1", true)]
    [InlineData("::/0", "192.0.2.7", true)]
    [InlineData("2001:db8::/32", "2001:db8:ffff::1", true)]
    [InlineData("2001:db8::1/128", "2001:db8::2", false)]
    public void An_address_is_in_a_network_whose_prefix_it_has(string network, string address, bool isIn)
    {
        NetworkList list = new([IPNetwork.Parse("198.51.100.0/24"), IPNetwork.Parse(network)]);
        Assert.False(list.IsEmpty);
        Assert.Equal(isIn, list.Contains(new NativeAddress(new IPEndPoint(IPAddress.Parse(address), 5222))));
    }

    [Fact]
    public void Without_networks_it_is_empty_and_has_nobody()
    {
        NetworkList list = new([]);
        Assert.True(list.IsEmpty);
        Assert.False(list.Contains(new NativeAddress(new IPEndPoint(IPAddress.Loopback, 5222))));
    }
}
