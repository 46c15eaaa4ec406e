using Xunit.Abstractions;

namespace Megaphone.EndToEnd;

/// <summary>Starts those collections first that take longest, so that none of them runs alone when all others are done.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long =
    [
        nameof(ModuleSessionTests), nameof(ReloadTests), nameof(ModuleTests), nameof(ModuleResumptionTests), nameof(ClusterTests),
        nameof(ModuleHostileLinkTests), nameof(ModuleCrowdTests), nameof(EcmTests), nameof(DrainTests), nameof(EjabberdTests),
        nameof(ModuleResumptionClusterTests), nameof(ChromiumTests), nameof(BalancerTests),
    ];

    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) => testCollections.OrderBy(Rank);

    private static int Rank(ITestCollection collection)
    {
        int rank = Array.FindIndex(Long, name => collection.DisplayName.EndsWith($".{name}", StringComparison.Ordinal));
        return rank < 0 ? Long.Length : rank;
    }
}
