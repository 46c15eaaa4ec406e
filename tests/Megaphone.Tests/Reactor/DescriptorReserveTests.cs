using Megaphone.Reactor;
using Xunit;

namespace Megaphone.Tests.Reactor;

/// <summary>How much is kept back from clients. That it is kept back is tested from outside: it concerns the whole process.</summary>
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
    public void Nothing_is_kept_back_from_who_has_not_asked_for_it()
    {
        Assert.Equal(0, DescriptorReserve.Size);
        Assert.False(DescriptorReserve.Includes(int.MaxValue));
    }
}
