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
    public void Clients_of_Unix_sockets_are_one_that_is_of_no_network()
    {
        ClientAddress unix = ClientAddress.Of(NativeAddress.Unix);
        Assert.Equal(("unix", true, false, true), (unix.ToString(), unix.IsUnix, unix.IsV4, unix.IsPossible));
        Assert.Equal(unix, unix.Within(32, 16));
        Assert.True(unix.WriteTo(new byte[16]).IsEmpty);
        Assert.False(new ClientAddress(unix.Value + 1).IsPossible);
        foreach (string address in (string[])["::", "0.0.0.0", "127.0.0.1", "fe80::1"]) Assert.NotEqual(unix, Of(address));
        Assert.False(new NetworkList([IPNetwork.Parse("::/0"), IPNetwork.Parse("0.0.0.0/0")]).Contains(NativeAddress.Unix));
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
