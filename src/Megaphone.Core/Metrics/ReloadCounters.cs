namespace Megaphone.Metrics;

/// <summary>What is counted of reloads, through all images of the process. Thread-safe.</summary>
internal sealed class ReloadCounters
{
    private readonly long[] _counts = new long[(int)ReloadResult.Failed + 1];
    private long _handoverMicroseconds;

    /// <summary>How long nobody was served in the last one.</summary>
    public TimeSpan Handover => TimeSpan.FromMicroseconds(Volatile.Read(ref _handoverMicroseconds));

    /// <summary>How many came out so.</summary>
    public long Count(ReloadResult result) => Volatile.Read(ref _counts[(int)result]);

    /// <summary>Counts one, or those that an earlier image has counted.</summary>
    public void Add(ReloadResult result, long count = 1) => Interlocked.Add(ref _counts[(int)result], count);

    /// <summary>Counts one that is done.</summary>
    /// <param name="handover">How long nobody was served.</param>
    public void AddDone(TimeSpan handover)
    {
        Add(ReloadResult.Done);
        Volatile.Write(ref _handoverMicroseconds, (long)handover.TotalMicroseconds);
    }
}
