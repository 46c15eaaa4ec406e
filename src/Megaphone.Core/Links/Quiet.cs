using System.Diagnostics;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Waits for what is under way on a role's links to arrive, before they are ended.</summary>
internal static class Quiet
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

    /// <summary>Returns when nothing has moved for a moment, or after a second: a busy service must end too.</summary>
    public static async Task WaitAsync(RoleMetrics metrics, CancellationToken deadline)
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
