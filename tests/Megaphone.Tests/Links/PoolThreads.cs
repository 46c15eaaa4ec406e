using System.Runtime.CompilerServices;

namespace Megaphone.Tests.Links;

/// <summary>Tests block threads while they wait, and links need pool threads to answer meanwhile.</summary>
internal static class PoolThreads
{
    /// <summary>Lets the pool start as many threads at once as tests may block, instead of two a second.</summary>
    [ModuleInitializer]
    internal static void Provide() => ThreadPool.SetMinThreads(32, 32);
}
