using System.Net;
using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Which connection is evicted when there are too many.</summary>
public class EvictionQueueTests
{
    private readonly EvictionQueue<string> _queue = new();

    [Fact]
    public void The_oldest_of_the_address_with_the_most_is_evicted()
    {
        Add("a1", "b1", "b2", "a2", "b3", "c1");
        Assert.Equal("b1", Evict());
        Assert.Equal("a1", Evict());
        Assert.Equal("b2", Evict());
        Assert.Equal("a2 b3 c1", $"{Evict()} {Evict()} {Evict()}");
        Assert.Null(Evict());
        Assert.Equal(0, _queue.Count);
    }

    [Fact]
    public void An_address_with_one_is_not_evicted_by_an_address_with_many()
    {
        Add("a1", "b0");
        for (int i = 1; i < 1_000; i++)
        {
            Add($"b{i}");
            Assert.Equal($"b{i - 1}", Evict());
        }

        Assert.Equal(2, _queue.Count);
    }

    [Fact]
    public void Removed_items_do_not_count()
    {
        Add("b1", "b2", "b3", "a1", "a2");
        _queue.Remove("b2");
        _queue.Remove("b2");
        _queue.Remove("b1");
        Assert.Equal(3, _queue.Count);
        Assert.Equal("a1", Evict());
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", true)]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("0.0.0.1", "::1", false)]
    public void Connections_are_attributed_to_an_IPv4_address_or_an_IPv6_network(string one, string other, bool same)
    {
        PeerAddress first = PeerAddress.Of(new IPEndPoint(IPAddress.Parse(one), 1));
        PeerAddress second = PeerAddress.Of(new IPEndPoint(IPAddress.Parse(other), 2));
        Assert.Equal(same, first == second);
        if (same) Assert.Equal(first.GetHashCode(), second.GetHashCode());
    }

    /// <summary>Each item is named after its address, by a letter.</summary>
    private void Add(params string[] items)
    {
        foreach (string item in items) _queue.Add(item, PeerAddress.Of(new IPEndPoint(item[0], 1)));
    }

    private string? Evict() => _queue.TryEvict(out string? item) ? item : null;
}
