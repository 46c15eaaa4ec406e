using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>How many descriptors are kept back. That clients do not get them is tested end to end: it concerns the whole process.</summary>
public class DescriptorReserveTests
{
    [Theory]
    [InlineData(1_048_576, 129, 129)]
    [InlineData(1024, 448, 448)]
    [InlineData(400, 448, 200)]
    [InlineData(160, 129, 80)]
    [InlineData(0, 129, 0)]
    [InlineData(ulong.MaxValue, 129, 129)]
    public void It_is_what_was_asked_for_and_at_most_half_of_the_limit(ulong limit, int size, ulong kept) =>
        Assert.Equal(kept, DescriptorReserve.Within(limit, size));

    [Fact]
    public void Nothing_is_kept_back_by_default()
    {
        Assert.Equal(0, DescriptorReserve.Size);
        Assert.False(DescriptorReserve.Includes(int.MaxValue));
    }
}
