using Xunit.Abstractions;

namespace Megaphone.EndToEnd;

/// <summary>Starts those collections first that take longest, so that none of them runs alone when all others are done.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long =
    [
        nameof(AttackTests), nameof(ReloadTests), nameof(ModuleSessionTests),
        nameof(ModuleTests), nameof(ChromiumTests), nameof(EcmTests), nameof(TlsPeerTests), nameof(HubReloadTests), nameof(BenchTlsTests),
        nameof(LimitTests), nameof(ModuleCrowdTests), nameof(BrowserTests), nameof(ModuleResumptionTests), nameof(ReloadChatTests),
        nameof(TlsCertificateTests), nameof(TlsWithOwnRecordsTests), nameof(HostileTlsTests), nameof(BenchTests), nameof(DescriptorTests),
        nameof(TlsWithOpenSslRecordsTests), nameof(LoginTests), nameof(ModulePacingTests), nameof(LinkResumptionTests), nameof(WebReloadTests),
        nameof(WebSocketTests), nameof(LoginPacingTests), nameof(ClusterTests), nameof(EjabberdTests),
    ];

    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) => testCollections.OrderBy(Rank);

    private static int Rank(ITestCollection collection)
    {
        int rank = Array.FindIndex(Long, name => collection.DisplayName.EndsWith($".{name}", StringComparison.Ordinal));
        return rank < 0 ? Long.Length : rank;
    }
}
