using System.Net;
using Megaphone.Interop;
using Xunit;

namespace Megaphone.Tests.Interop;

/// <summary>Addresses in the kernel's layout.</summary>
public class NativeAddressTests
{
    [Theory]
    [InlineData("0.0.0.0:0", "0.0.0.0:0")]
    [InlineData("192.0.2.7:50000", "192.0.2.7:50000")]
    [InlineData("255.255.255.255:65535", "255.255.255.255:65535")]
    [InlineData("[::]:1", "[::]:1")]
    [InlineData("[2001:db8::7]:5222", "[2001:db8::7]:5222")]
    [InlineData("[::ffff:192.0.2.7]:5222", "192.0.2.7:5222")]
    public void An_end_point_comes_back(string text, string back) =>
        Assert.Equal(IPEndPoint.Parse(back), new NativeAddress(IPEndPoint.Parse(text)).ToEndPoint());

    [Fact]
    public void The_other_end_of_a_Unix_socket_has_no_address()
    {
        NativeAddress unix = NativeAddress.Unix;
        Assert.True(unix.IsUnix);
        Assert.Equal((false, false, 0, 0), (unix.IsV4, unix.IsMappedV4, unix.AddressBytes.Length, unix.Port));
        Assert.Equal("unix", unix.ToString());
        Assert.NotEqual(new NativeAddress(IPEndPoint.Parse("[::]:0")), unix);
    }

    [Theory]
    [InlineData("192.0.2.7:1", true, false, 4, 16)]
    [InlineData("[2001:db8::7]:1", false, false, 16, 28)]
    [InlineData("[::ffff:192.0.2.7]:1", true, true, 4, 28)]
    [InlineData("[::192.0.2.7]:1", false, false, 16, 28)]
    public void It_knows_its_family(string text, bool v4, bool mapped, int bytes, uint length)
    {
        NativeAddress address = new(IPEndPoint.Parse(text));
        Assert.Equal((v4, mapped, bytes, length), (address.IsV4, address.IsMappedV4, address.AddressBytes.Length, address.Length));
        Assert.False(address.IsAny);
    }

    [Theory]
    [InlineData("0.0.0.0:5222")]
    [InlineData("[::]:5222")]
    [InlineData("[::ffff:0.0.0.0]:5222")]
    public void The_wildcard_is_known(string text) => Assert.True(new NativeAddress(IPEndPoint.Parse(text)).IsAny);

    [Fact]
    public unsafe void The_layout_is_that_of_sockaddr_in6_with_the_scope()
    {
        NativeAddress address = new(new IPEndPoint(new IPAddress(IPAddress.Parse("fe80::1").GetAddressBytes(), 0x01020304), 0x1234));
        Assert.Equal(
            "0A00" + "1234" + "00000000" + "FE800000000000000000000000000001" + "04030201",
            Convert.ToHexString(new ReadOnlySpan<byte>(&address, sizeof(NativeAddress))));
    }

    [Fact]
    public unsafe void The_layout_is_that_of_sockaddr_in()
    {
        NativeAddress address = new(new IPEndPoint(IPAddress.Parse("192.0.2.7"), 0x1234));
        Assert.Equal("0200" + "1234" + "C0000207", Convert.ToHexString(new ReadOnlySpan<byte>(&address, 8)));
        Assert.Equal(28, sizeof(NativeAddress));
    }

    [Fact]
    public void Two_addresses_are_equal_only_when_all_of_them_is()
    {
        NativeAddress one = new(IPEndPoint.Parse("192.0.2.7:5222"));
        Assert.Equal(one, new NativeAddress(IPEndPoint.Parse("192.0.2.7:5222")));
        Assert.NotEqual(one, new NativeAddress(IPEndPoint.Parse("192.0.2.8:5222")));
        Assert.NotEqual(one, new NativeAddress(IPEndPoint.Parse("192.0.2.7:5223")));
        Assert.False(new[] { one }.SequenceEqual([new NativeAddress(IPEndPoint.Parse("192.0.2.8:5222"))]));
    }
}
