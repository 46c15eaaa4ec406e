using System.Net;
using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Who gives way where there is one too many.</summary>
public class CrowdTests
{
    private readonly Crowd<string> _crowd = new();

    [Fact]
    public void The_oldest_of_the_address_that_has_the_most_gives_way()
    {
        Add("a1", "b1", "b2", "a2", "b3", "c1");
        Assert.Equal("b1", Take());
        Assert.Equal("a1", Take());
        Assert.Equal("b2", Take());
        Assert.Equal("a2 b3 c1", $"{Take()} {Take()} {Take()}");
        Assert.Null(Take());
        Assert.Equal(0, _crowd.Count);
    }

    [Fact]
    public void One_is_safe_from_an_address_that_has_many_however_old_it_is()
    {
        Add("a1", "b0");
        for (int i = 1; i < 1_000; i++)
        {
            Add($"b{i}");
            Assert.Equal($"b{i - 1}", Take());
        }

        Assert.Equal(2, _crowd.Count);
    }

    [Fact]
    public void Those_that_were_taken_out_count_no_more()
    {
        Add("b1", "b2", "b3", "a1", "a2");
        _crowd.Remove("b2");
        _crowd.Remove("b2");
        _crowd.Remove("b1");
        Assert.Equal(3, _crowd.Count);
        Assert.Equal("a1", Take());
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", true)]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("0.0.0.1", "::1", false)]
    public void Connections_are_put_down_to_an_address_or_the_network_of_one(string one, string other, bool same)
    {
        PeerAddress first = PeerAddress.Of(new IPEndPoint(IPAddress.Parse(one), 1));
        PeerAddress second = PeerAddress.Of(new IPEndPoint(IPAddress.Parse(other), 2));
        Assert.Equal(same, first == second);
        if (same) Assert.Equal(first.GetHashCode(), second.GetHashCode());
    }

    /// <summary>Each is named after its address, by a letter.</summary>
    private void Add(params string[] items)
    {
        foreach (string item in items) _crowd.Add(item, PeerAddress.Of(new IPEndPoint(item[0], 1)));
    }

    private string? Take() => _crowd.TryTakeOne(out string? item) ? item : null;
}
