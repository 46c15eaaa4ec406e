using System.Runtime.CompilerServices;
using Megaphone.Ecm;
using Megaphone.Reactor;
using Megaphone.Web;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class EcmClientTests
{
    [Fact]
    public void An_idle_client_costs_no_more_than_64_bytes() =>
        Assert.Equal((36, 28), (Unsafe.SizeOf<EcmClient>(), Unsafe.SizeOf<ConnectionSlot>()));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(12_345_678, 61_000)]
    [InlineData(uint.MaxValue * 1000L, 100L * 24 * 60 * 60 * 1000)]
    public void Its_age_is_known_to_the_second(long connectedAt, long later)
    {
        EcmClient client = new() { ConnectedAt = (uint)(connectedAt / 1000) };
        Assert.Equal(((connectedAt + later) / 1000) - (connectedAt / 1000), client.AgeAt(connectedAt + later));
    }

    [Fact]
    public void An_idle_WebSocket_client_costs_no_more_than_128_bytes_and_with_TLS_320() =>
        Assert.Equal((24, 40), (Unsafe.SizeOf<WebState>(), Unsafe.SizeOf<WebSlot>()));
}
