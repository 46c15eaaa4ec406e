using Megaphone.Hub;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>Indexes of links are reused when they are free, and never change.</summary>
public class HubLinksTests
{
    [Fact]
    public void Each_link_has_its_own_index_and_free_ones_are_reused()
    {
        HubLinks links = new();
        HubLink[] all =
        [
            .. Enumerable.Range(0, 100)
                .Select(_ => new HubLink(new SessionLifecycle(Options, new RoleMetrics(Role.Hub), null!), null!)),
        ];
        int[] indexes = [.. all.Select(links.Add)];
        Assert.Equal(100, indexes.Distinct().Count());
        Assert.All(indexes.Zip(all), pair => Assert.Same(pair.Second, links[pair.First]));

        links.Remove(indexes[17]);
        Assert.Equal(indexes[17], links.Add(all[17]));
        Assert.Equal(indexes.Max() + 1, links.Add(all[0]));
    }

    private static HubOptions Options { get; } = new() { Listen = new(System.Net.IPAddress.Loopback, 0), Link = new() };
}
