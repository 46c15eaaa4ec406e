using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Numbers that a peer chooses spread over a table like any others.</summary>
public class KeyedNumberTests
{
    private const int Count = 80_000;

    /// <summary>Sets of numbers that would share one or few buckets if the hash were the xor of the halves, or one of them.</summary>
    public static TheoryData<string, Func<ulong, ulong>> Sets { get; } = new()
    {
        { "one after another", x => x },
        { "upper half only", x => x << 32 },
        { "equal halves", x => (x << 32) | x },
        { "halves that complement each other", x => (x << 32) | (uint)~x },
        { "multiples of a usual number of buckets", x => x * 108_631 },
        { "sparse bits", x => (x & 0xff) | ((x >> 8) << 47) },
    };

    [Theory]
    [MemberData(nameof(Sets), DisableDiscoveryEnumeration = true)]
    public void Hashes_of_chosen_numbers_collide_no_more_than_random_ones(string set, Func<ulong, ulong> number)
    {
        int[] hashes = [.. Enumerable.Range(1, Count).Select(x => new KeyedNumber(number((ulong)x)).GetHashCode())];

        // Less than one pair collides on average; that a hundred do is practically impossible.
        Assert.True(hashes.Distinct().Count() > Count - 100, set);
        int fullest = hashes.CountBy(hash => (uint)hash % 108_631).Max(bucket => bucket.Value);
        Assert.True(fullest < 1_000, $"{set}: {fullest} of {Count} share a bucket");
    }
}
