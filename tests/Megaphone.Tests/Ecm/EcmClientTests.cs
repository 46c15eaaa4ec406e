using System.Net;
using System.Runtime.CompilerServices;
using Megaphone.Ecm;
using Megaphone.Interop;
using Megaphone.Reactor;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class EcmClientTests
{
    [Fact]
    public void An_idle_client_costs_no_more_than_64_bytes() =>
        Assert.Equal((32, 24), (Unsafe.SizeOf<EcmClient>(), Unsafe.SizeOf<ConnectionSlot>()));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(12_345_678, 61_000)]
    [InlineData(33_554_431_000, 5_000)]
    [InlineData(uint.MaxValue * 1000L, 365L * 24 * 60 * 60 * 1000)]
    public void Its_age_is_known_to_two_seconds(long connectedAt, long later)
    {
        EcmClient client = default;
        client.Arrive(ClientAddress.Of(new NativeAddress(new IPEndPoint(new IPAddress([192, 168, 0, 1]), 1))), connectedAt);
        Assert.InRange(client.AgeAt(connectedAt + later).TotalMilliseconds, later - 1999, later + 1999);
        Assert.Equal(192 ^ 168, client.AddressHint);
    }

    [Fact]
    public void An_idle_WebSocket_client_costs_no_more_than_128_bytes_and_with_TLS_320() =>
        Assert.Equal((24, 40), (Unsafe.SizeOf<WebState>(), Unsafe.SizeOf<WebSlot>()));
}
