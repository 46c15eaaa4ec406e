using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>Connections are retried in the order in which they stalled.</summary>
public class StalledQueueTests
{
    [Fact]
    public void Connections_leave_it_in_the_order_in_which_they_came()
    {
        using ConnectionTable<int> table = new(3, 100);
        List<ConnectionId> ids = [];
        for (int i = 0; i < 100; i++)
        {
            Assert.True(table.TryAllocate(out ConnectionId id));
            table.Slot(id.Slot).Descriptor = 0;
            table.Slot(id.Slot).Exit();
            ids.Add(id);
        }

        StalledQueue<int> queue = new(table);
        Random random = new(1);
        Queue<ConnectionId> expected = new();
        for (int step = 0; step < 10_000; step++)
        {
            List<ConnectionId> outside = [.. ids.Except(expected)];
            if (outside.Count > 0 && random.Next(2) == 0)
            {
                ConnectionId id = outside[random.Next(outside.Count)];
                expected.Enqueue(id);
                queue.Enqueue(id);
            }
            else if (expected.Count > 0)
            {
                Assert.Equal(expected.Dequeue(), queue.Dequeue());
            }

            Assert.Equal(expected.Count, queue.Count);
        }
    }
}
