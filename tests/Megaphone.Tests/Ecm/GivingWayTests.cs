using Megaphone.Ecm;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class GivingWayTests
{
    [Fact]
    public void So_many_and_no_more_give_way_at_a_time_and_each_once()
    {
        GivingWay giving = new(2);
        Assert.True(giving.TryAdd(new ConnectionId(1)));
        Assert.False(giving.TryAdd(new ConnectionId(1)));
        Assert.True(giving.TryAdd(new ConnectionId(2)));
        Assert.False(giving.TryAdd(new ConnectionId(3)));
        giving.Remove(new ConnectionId(4));
        Assert.Equal(2, giving.Count);
        giving.Remove(new ConnectionId(1));
        Assert.Equal(1, giving.Count);
        Assert.True(giving.TryAdd(new ConnectionId(3)));
    }
}
