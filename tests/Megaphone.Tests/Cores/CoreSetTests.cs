using Megaphone.Cores;
using Xunit;

namespace Megaphone.Tests.Cores;

public class CoreSetTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(8191)]
    public void A_set_of_one_core_has_that_one_alone(int core)
    {
        CoreSet set = CoreSet.Of(core);

        Assert.Equal(1, set.Count);
        Assert.Equal([core], Enumerable.Range(-1, 8194).Where(set.Contains));
    }

    [Fact]
    public void The_kernel_reads_one_bit_for_each_core_the_first_in_the_first_byte()
    {
        Assert.Equal(1UL << 5, CoreSet.Of(69).Words[1]);
        Assert.Equal(CoreSet.Bytes, CoreSet.Of(69).Words.Length * sizeof(ulong));
    }
}
