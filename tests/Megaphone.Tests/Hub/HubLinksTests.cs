using Megaphone.Handover;
using Megaphone.Hub;
using Megaphone.Metrics;
using Megaphone.Tests.Handover;
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

    [Fact]
    public void Links_that_are_handed_over_keep_their_indexes_and_what_is_free_between_them_is_used()
    {
        SessionLifecycle sessions = new(Options, new RoleMetrics(Role.Hub), null!);
        HubLink third = Restore(sessions, 3);
        Assert.Throws<StateException>(() => Restore(sessions, 3));
        Assert.Throws<StateException>(() => Restore(sessions, HubLinks.MaxIndex + 1));
        HubLink last = Restore(sessions, 35);
        HubLinks links = sessions.Links;
        Assert.Equal((third, last), (links.Find(3), links.Find(35)));
        Assert.All((int[])[4, -1, HubLinks.MaxIndex], index => Assert.Null(links.Find(index)));
        int[] added = [.. Enumerable.Range(0, 40).Select(_ => links.Add(third))];
        Assert.Equal(Enumerable.Range(0, 42).Except([3, 35]), added.Order());
    }

    /// <summary>Takes over a link that was over, and had sessions yet.</summary>
    private static HubLink Restore(SessionLifecycle sessions, int index)
    {
        byte[] body = HandedOver.Body(writer =>
        {
            writer.Write(index);
            writer.Write(17);
            writer.WriteText("192.0.2.7:1");
            writer.Write(false);
            new SessionTable(5).Save(writer);
            writer.Write(false);
        });
        return HandedOver.Read(body, reader => HubLink.Restore(reader, sessions, null!, null!));
    }

    private static HubOptions Options { get; } = new() { Listen = new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), Link = new() };
}
