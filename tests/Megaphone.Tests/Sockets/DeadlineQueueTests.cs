using Megaphone.Sockets;
using Xunit;

namespace Megaphone.Tests.Sockets;

/// <summary>What was armed first falls due first.</summary>
public class DeadlineQueueTests
{
    [Fact]
    public void Deadlines_fall_due_in_order_and_not_before_their_time()
    {
        DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100));
        Assert.Equal(int.MaxValue, queue.UntilNext(1000));
        queue.Arm(new ConnectionId(1), 1000);
        queue.Arm(new ConnectionId(2), 1050);
        queue.Arm(new ConnectionId(3), 1050);

        Assert.Equal(100, queue.UntilNext(1000));
        Assert.False(queue.TryTakeDue(1099, out _, out _));
        Assert.True(queue.TryTakeDue(1100, out ConnectionId id, out _));
        Assert.Equal(1UL, id.Value);
        Assert.False(queue.TryTakeDue(1100, out _, out _));
        Assert.Equal(50, queue.UntilNext(1100));

        Assert.Equal(0, queue.UntilNext(9999));
        Assert.True(queue.TryTakeDue(9999, out id, out _));
        Assert.Equal(2UL, id.Value);
        Assert.True(queue.TryTakeDue(9999, out id, out _));
        Assert.Equal(3UL, id.Value);
        Assert.Equal(int.MaxValue, queue.UntilNext(9999));
    }
}
