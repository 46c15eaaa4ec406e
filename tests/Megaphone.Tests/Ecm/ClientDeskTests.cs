using System.Net;
using Megaphone.Ecm;
using Megaphone.Interop;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class ClientDeskTests
{
    [Theory]
    [InlineData("0.0.0.0/0", "192.0.2.7", true)]
    [InlineData("192.0.2.0/24", "192.0.2.7", true)]
    [InlineData("192.0.2.7/32", "192.0.2.7", true)]
    [InlineData("192.0.2.7/32", "192.0.2.6", true)]
    [InlineData("192.0.2.7/32", "192.1.2.7", false)]
    [InlineData("192.0.0.0/9", "192.129.2.7", true)]
    [InlineData("192.1.0.0/16", "192.0.2.7", false)]
    [InlineData("::ffff:192.0.2.0/120", "192.0.2.7", true)]
    [InlineData("::ffff:192.1.2.0/120", "192.0.2.7", false)]
    [InlineData("2001:db8::/32", "2001:db8::7", true)]
    [InlineData("2001:db8:1::/48", "2001:db8:1::7", true)]
    [InlineData("2001:db8::/32", "2001:db9::7", false)]
    [InlineData("2000::/3", "2001:db8::7", true)]
    public void Nobody_who_is_in_a_network_is_passed_over_for_the_first_bytes_of_the_address(string within, string address, bool mayBe)
    {
        ClientAddress client = ClientAddress.Of(new NativeAddress(new IPEndPoint(IPAddress.Parse(address), 1)));
        byte? hint = ClientAddress.HintOf(IPNetwork.Parse(within));
        Assert.Equal(mayBe, hint is null || hint == client.Hint);
    }

    [Theory]
    [InlineData("192.0.2.7", 4)]
    [InlineData("2001:db8:1:2::", 16)]
    public void What_is_kept_of_an_address_can_be_written_as_one(string address, int bytes)
    {
        ClientAddress client = ClientAddress.Of(new NativeAddress(new IPEndPoint(IPAddress.Parse(address), 1)));
        Span<byte> into = stackalloc byte[16];
        ReadOnlySpan<byte> written = client.WriteTo(into);
        Assert.Equal(bytes, written.Length);
        Assert.Equal(address, new IPAddress(written).ToString());
    }
}
