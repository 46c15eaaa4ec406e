using Megaphone.Links;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>Numbers that a peer chooses spread over a table as any others do.</summary>
public class KeyedNumberTests
{
    private const int Count = 80_000;

    /// <summary>Sets of numbers of which all share a bucket, or few, where the hash is the xor of the halves, or one of them.</summary>
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
    public void Hashes_of_chosen_numbers_are_as_good_as_random(string set, Func<ulong, ulong> number)
    {
        int[] hashes = [.. Enumerable.Range(1, Count).Select(x => new KeyedNumber(number((ulong)x)).GetHashCode())];

        // Less than one pair of so many collides on average; that a hundred do has a probability beyond words.
        Assert.True(hashes.Distinct().Count() > Count - 100, set);
        int fullest = hashes.CountBy(hash => (uint)hash % 108_631).Max(bucket => bucket.Value);
        Assert.True(fullest < 1_000, $"{set}: {fullest} of {Count} share a bucket");
    }
}
