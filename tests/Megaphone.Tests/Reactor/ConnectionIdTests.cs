using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>An id gives back the parts that it was made of.</summary>
public class ConnectionIdTests
{
    [Theory]
    [InlineData(1u, 0, 0, 0x0000_0001_00_000000UL)]
    [InlineData(1u, 0, ConnectionId.MaxSlots - 1, 0x0000_0001_00_FFFFFFUL)]
    [InlineData(1u, ConnectionId.MaxReactors - 1, 0, 0x0000_0001_FF_000000UL)]
    [InlineData(uint.MaxValue, ConnectionId.MaxReactors - 1, ConnectionId.MaxSlots - 1, ulong.MaxValue)]
    [InlineData(0x01020304u, 5, 0x060708, 0x01020304_05_060708UL)]
    internal void The_parts_stand_side_by_side(uint generation, int reactor, int slot, ulong value)
    {
        ConnectionId id = new(generation, reactor, slot);
        Assert.Equal(value, id.Value);
        Assert.Equal((generation, reactor, slot), (id.Generation, id.Reactor, id.Slot));
    }
}
