using System.Globalization;
using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>The deadline that was set first falls due first.</summary>
public class DeadlineQueueTests
{
    [Fact]
    public void Deadlines_fall_due_in_order_and_not_before_their_time()
    {
        using DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100), 10, (_, _) => true);
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
    public void Each_deadline_has_its_attempt()
    {
        using DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100), 10, (_, _) => true);
        foreach (byte attempt in (byte[])[0, 1, 255]) queue.Arm(new ConnectionId(ulong.MaxValue), long.MaxValue >> 9, attempt);

        Assert.False(queue.TryTakeDue((long.MaxValue >> 9) + 99, out _, out _));
        foreach (byte expected in (byte[])[0, 1, 255])
        {
            Assert.True(queue.TryTakeDue((long.MaxValue >> 9) + 100, out ConnectionId id, out byte attempt));
            Assert.Equal((ulong.MaxValue, expected), (id.Value, attempt));
        }
    }

    [Fact]
    public void Deadlines_of_closed_connections_never_outnumber_the_others_by_far()
    {
        const int Connections = 10_000;
        ulong oldest = 0;
        using DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100), Connections, (id, _) => id.Value >= oldest);
        long before = 0;
        long most = 0;
        for (ulong id = 1; id <= 1_000_000; id++)
        {
            // By then every path has run once: the first call of a native function allocates.
            if (id == 100_000) before = GC.GetAllocatedBytesForCurrentThread();
            queue.Arm(new ConnectionId(id), 1000);
            oldest = id - Math.Min(id, 1000);
            if (id % 500 == 0) queue.Sift(1001);
            most = Math.Max(most, queue.Count);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.InRange(most, 1001, 2 * 1001 + 4096 + 500);
        List<ulong> due = [];
        while (queue.TryTakeDue(1100, out ConnectionId id, out _)) due.Add(id.Value);
        Assert.Equal(due.Order(), due);
        Assert.Equal(Enumerable.Range(0, 1001).Select(i => (ulong)(999_000 + i)), due.SkipWhile(id => id < oldest));
    }

    [Fact]
    public void It_never_overflows_even_if_nobody_sifts()
    {
        const int Connections = 1_000;
        ulong oldest = 0;
        using DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100), Connections, (id, _) => id.Value > oldest);
        for (ulong id = 1; id <= 1_000_000; id++)
        {
            queue.Arm(new ConnectionId(id), 1000);
            oldest = id - Math.Min(id, Connections);
        }

        List<ulong> due = [];
        while (queue.TryTakeDue(1100, out ConnectionId id, out _)) due.Add(id.Value);
        Assert.Equal(due.Order(), due);
        Assert.Equal(Enumerable.Range(1, Connections).Select(i => (ulong)(1_000_000 - Connections + i)), due.SkipWhile(id => id <= oldest));
    }

    [Fact]
    public void A_million_deadlines_that_have_passed_keep_no_memory()
    {
        using DeadlineQueue queue = new(TimeSpan.FromMilliseconds(100), 1_000_000, (_, _) => true);

        // Other tests allocate and free memory meanwhile, but hardly in every round.
        Assert.Contains(Enumerable.Range(0, 20), _ =>
        {
            long before = OwnKilobytes();
            for (ulong id = 1; id <= 1_000_000; id++) queue.Arm(new ConnectionId(id), 1000);
            long full = OwnKilobytes();
            while (queue.TryTakeDue(1100, out ConnectionId _, out byte _)) ;
            return full - before is > 14_000 and < 18_000 && full - OwnKilobytes() is > 14_000 and < 18_000;
        });
    }

    private static long OwnKilobytes() => long.Parse(
        File.ReadLines("/proc/self/status").Single(line => line.StartsWith("RssAnon:", StringComparison.Ordinal)).Split(' ')[^2],
        CultureInfo.InvariantCulture);
}
