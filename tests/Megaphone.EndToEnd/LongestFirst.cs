using Xunit.Abstractions;

namespace Megaphone.EndToEnd;

/// <summary>Starts those collections first that take longest, so that none of them runs alone when all others are done.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long =
    [
        nameof(AttackTests), nameof(ReloadTests), nameof(ModuleSessionTests), nameof(ModuleTests), nameof(ChromiumTests), nameof(LimitTests),
        nameof(EcmTests), nameof(ModuleResumptionTests), nameof(HubReloadTests), nameof(TlsPeerTests), nameof(BenchTlsTests),
        nameof(ModuleCrowdTests),
        nameof(ClusterTests), nameof(ModuleHostileLinkTests), nameof(BrowserTests), nameof(LoginTests), nameof(DrainTests), nameof(EjabberdTests),
        nameof(ReloadChatTests), nameof(ModuleResumptionClusterTests), nameof(BalancerTests), nameof(BenchTests), nameof(HostileTlsTests),
    ];

    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) => testCollections.OrderBy(Rank);

    private static int Rank(ITestCollection collection)
    {
        int rank = Array.FindIndex(Long, name => collection.DisplayName.EndsWith($".{name}", StringComparison.Ordinal));
        return rank < 0 ? Long.Length : rank;
    }
}
