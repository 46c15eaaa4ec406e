using System.Diagnostics;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>What moves over the links of one role, seen through its counters.</summary>
internal static class LinkTraffic
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

    /// <summary>Waits until no packet has moved for 50 ms, at most a second: a busy service must stop too.</summary>
    public static async Task QuiesceAsync(RoleMetrics metrics, CancellationToken deadline)
    {
        long began = Stopwatch.GetTimestamp();
        long before;
        do
        {
            before = metrics.PacketsIn + metrics.PacketsOut;
            await Task.Delay(Step, CancellationToken.None).ConfigureAwait(false);
        }
        while (metrics.PacketsIn + metrics.PacketsOut != before && Stopwatch.GetElapsedTime(began) < Longest && !deadline.IsCancellationRequested);
    }
}
