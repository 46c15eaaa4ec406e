using Megaphone.Service;
using Xunit;

namespace Megaphone.Tests.Service;

public class LineLimitTests
{
    [Fact]
    public void A_few_lines_are_written_in_each_window_and_the_next_one_says_how_many_were_not()
    {
        LineLimit limit = new(most: 2, window: 1000);
        List<long?> taken = [];
        foreach (long now in (long[])[5, 6, 7, 1004, 1005, 1006, 1007, 9000])
            taken.Add(limit.TryTake(now, out long skipped) ? skipped : null);

        Assert.Equal([0, 0, null, null, 2, 0, null, 1], taken);
    }
}
