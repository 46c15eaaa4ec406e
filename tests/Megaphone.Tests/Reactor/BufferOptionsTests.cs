using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

public class BufferOptionsTests
{
    private const int Long = BufferOptions.ShortBytes + 1;

    [Fact]
    public void Short_buffers_get_all_memory_long_ones_three_quarters_and_strangers_half()
    {
        BufferOptions bounds = new() { LimitBytes = 1 << 20, TotalBytes = 100 << 20, UnadmittedBytes = 16 << 10 };
        Assert.Equal(100 << 20, bounds.TotalFor(BufferOptions.ShortBytes, isAdmitted: true));
        Assert.Equal(75 << 20, bounds.TotalFor(Long, isAdmitted: true));
        Assert.Equal(50 << 20, bounds.TotalFor(BufferOptions.ShortBytes, isAdmitted: false));
    }

    [Fact]
    public void One_buffer_may_always_become_as_long_as_its_limit_says()
    {
        BufferOptions bounds = new() { LimitBytes = 60 << 20, TotalBytes = 100 << 20 };
        Assert.Equal(100 << 20, bounds.TotalFor(Long, isAdmitted: true));
        Assert.Equal(100 << 20, (bounds with { LimitBytes = 50 << 20 }).TotalFor(Long, isAdmitted: true));
    }

    [Fact]
    public void Where_nobody_is_a_stranger_nobody_gets_less() =>
        Assert.Equal(new BufferOptions().TotalFor(Long, isAdmitted: true), new BufferOptions().TotalFor(Long, isAdmitted: false));
}
