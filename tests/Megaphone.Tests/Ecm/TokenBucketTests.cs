using Megaphone.Ecm;
using Xunit;

namespace Megaphone.Tests.Ecm;

public class TokenBucketTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    public void It_lets_in_what_it_says(int perSecond)
    {
        TokenBucket bucket = new(perSecond);
        uint fullAt = 0;
        int let = 0;
        for (long ms = 100_000; ms < 110_000; ms++)
        {
            uint now = TokenBucket.TimeOf(ms);
            while (bucket.TryTake(ref fullAt, now)) let++;
        }

        // As many at once, and then as many a second; intervals are whole units, which makes of 1,000 up to 1,009.
        Assert.InRange(let, perSecond * 11 - 1, perSecond * 11 * 1.01);
    }

    [Fact]
    public void Its_time_comes_again_without_keeping_anybody_out()
    {
        TokenBucket bucket = new(2);
        uint fullAt = TokenBucket.TimeOf(0);
        for (long hours = 0; hours < 100; hours++) Assert.True(bucket.TryTake(ref fullAt, TokenBucket.TimeOf(hours * 3_600_000)));
    }

    [Fact]
    public void Without_a_rate_it_lets_in_any_number_and_is_always_full()
    {
        TokenBucket bucket = default;
        uint fullAt = 0;
        for (int i = 0; i < 1000; i++) Assert.True(bucket.TryTake(ref fullAt, 5));
        Assert.True(TokenBucket.IsFull(fullAt, 5));
    }
}
