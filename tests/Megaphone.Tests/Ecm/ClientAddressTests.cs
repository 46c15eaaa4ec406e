using System.Net;
using Megaphone.Ecm;
using Megaphone.Interop;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class ClientAddressTests
{
    [Theory]
    [InlineData("192.0.2.7", "192.0.2.7")]
    [InlineData("::ffff:192.0.2.7", "192.0.2.7")]
    [InlineData("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
    [InlineData("::1", "::")]
    public void It_is_the_whole_of_an_IPv4_address_and_half_of_an_IPv6_address(string address, string shown) =>
        Assert.Equal(shown, Of(address).ToString());

    [Fact]
    public void Networks_of_different_kinds_are_never_the_same()
    {
        ClientAddress v6 = Of("2001:db8:1::1");
        Assert.Equal("2001:db8:1::", v6.Site(48).ToString());
        Assert.Equal(v6.Site(48), Of("2001:db8:1:ffff::1").Site(48));
        Assert.Equal("2001:db8::", v6.Site(32).ToString());
        Assert.NotEqual(v6.Within(32, 48), v6.Site(48));
        Assert.NotEqual(Of("0.0.0.0"), Of("::"));
    }

    [Fact]
    public void A_prefix_leaves_as_many_bits()
    {
        Assert.Equal("192.0.0.0", Of("192.0.2.7").Within(16, 64).ToString());
        Assert.Equal("192.0.2.7", Of("192.0.2.7").Within(32, 16).ToString());
        Assert.Equal("2001:db8:1:200::", Of("2001:db8:1:2ff::").Within(8, 56).ToString());
    }

    private static ClientAddress Of(string address) => ClientAddress.Of(new NativeAddress(new IPEndPoint(IPAddress.Parse(address), 5222)));
}
