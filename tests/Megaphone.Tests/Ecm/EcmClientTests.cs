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
        Assert.Equal((28, 28), (Unsafe.SizeOf<EcmClient>(), Unsafe.SizeOf<ConnectionSlot>()));

    [Fact]
    public void An_idle_WebSocket_client_costs_no_more_than_128_bytes_and_with_TLS_320() =>
        Assert.Equal((24, 40), (Unsafe.SizeOf<WebState>(), Unsafe.SizeOf<WebSlot>()));
}
