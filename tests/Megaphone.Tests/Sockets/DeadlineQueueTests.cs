using Megaphone.Sockets;
using Xunit;

namespace Megaphone.Tests.Sockets;

/// <summary>What was armed first falls due first.</summary>
public class DeadlineQueueTests
{
    [Fact]
    public void Deadlines_fall_due_in_order_and_not_before_their_time()
    {
        DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100), _ => true);
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

    [Fact]
    public void It_does_not_grow_for_connections_that_are_gone()
    {
        ulong oldest = 0;
        DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100), id => id.Value >= oldest);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong id = 1; id <= 1_000_000; id++)
        {
            queue.Arm(new ConnectionId(id), 1000);
            oldest = id - Math.Min(id, 1000);
        }

        // Room for a million would be 24 MB.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
        List<ulong> due = [];
        while (queue.TryTakeDue(1100, out ConnectionId id, out _)) due.Add(id.Value);
        Assert.Equal(due.Order(), due);
        Assert.Equal(Enumerable.Range(0, 1001).Select(i => (ulong)(999_000 + i)), due.SkipWhile(id => id < oldest));
    }
}
