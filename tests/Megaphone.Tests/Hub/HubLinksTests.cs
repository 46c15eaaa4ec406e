using Megaphone.Hub;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.Hub;

/// <summary>Places of links: given anew when they are free, and never moved.</summary>
public class HubLinksTests
{
    [Fact]
    public void Each_link_has_a_place_of_its_own_and_a_free_one_is_used_again()
    {
        HubLinks links = new();
        HubLink[] all = [.. Enumerable.Range(0, 100).Select(_ => new HubLink(new SessionLifecycle(Options, new RoleMetrics(Role.Hub), null!), null!))];
        int[] places = [.. all.Select(links.Add)];
        Assert.Equal(100, places.Distinct().Count());
        Assert.All(places.Zip(all), pair => Assert.Same(pair.Second, links[pair.First]));

        links.Remove(places[17]);
        Assert.Equal(places[17], links.Add(all[17]));
        Assert.Equal(places.Max() + 1, links.Add(all[0]));
    }

    private static HubOptions Options { get; } = new() { Listen = new(System.Net.IPAddress.Loopback, 0), Link = new() };
}
