using Megaphone.Metrics;
using Megaphone.Tests.Snapshots;
using Xunit;

namespace Megaphone.Tests.Metrics;

/// <summary>Labels are names that operators build upon: each of them is written down here.</summary>
public class LabelTests
{
    [Fact]
    public void Every_label_is_pinned() => Snapshot.Match(string.Join('\n',
    [
        .. Lines<Role>(), .. Lines<CloseReason>(), .. Lines<DropReason>(), .. Lines<RefusalReason>(), .. Lines<Limit>(),
    ]));

    private static IEnumerable<string> Lines<T>()
        where T : struct, Enum => Enum.GetValues<T>().Select(value => $"{typeof(T).Name}.{value}: {Label.Of(value)}");
}
