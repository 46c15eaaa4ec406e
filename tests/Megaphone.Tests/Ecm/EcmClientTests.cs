using System.Runtime.CompilerServices;
using Megaphone.Ecm;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class EcmClientTests
{
    [Fact]
    public void An_idle_client_costs_no_more_than_64_bytes() =>
        Assert.Equal((28, 28), (Unsafe.SizeOf<EcmClient>(), Unsafe.SizeOf<ConnectionSlot>()));
}
