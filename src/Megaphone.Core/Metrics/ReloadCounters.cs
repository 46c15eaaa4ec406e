namespace Megaphone.Metrics;

/// <summary>What is counted of reloads, through all images of the process. Thread-safe.</summary>
internal sealed class ReloadCounters
{
    /// <summary>Reloads that are remembered.</summary>
    public const int MostRemembered = 5;

    private readonly Lock _lock = new();
    private readonly long[] _counts = new long[(int)ReloadResult.Failed + 1];
    private readonly Queue<(DateTimeOffset At, ReloadResult Result)> _last = new();
    private long _handoverMicroseconds;

    /// <summary>How long nobody was served in the last one.</summary>
    public TimeSpan Handover => TimeSpan.FromMicroseconds(Volatile.Read(ref _handoverMicroseconds));

    /// <summary>The last ones, the oldest first: when, to the millisecond, and how they came out.</summary>
    public IReadOnlyList<(DateTimeOffset At, ReloadResult Result)> Last
    {
        get
        {
            lock (_lock) return [.. _last];
        }
    }

    /// <summary>How many came out so.</summary>
    public long Count(ReloadResult result) => Volatile.Read(ref _counts[(int)result]);

    /// <summary>Goes on from what an earlier image has counted.</summary>
    public void GoOnFrom(ReloadResult result, long count) => Interlocked.Add(ref _counts[(int)result], count);

    /// <summary>Counts one that comes out now.</summary>
    public void Add(ReloadResult result)
    {
        Interlocked.Increment(ref _counts[(int)result]);
        Remember(DateTimeOffset.UtcNow, result);
    }

    /// <summary>Counts one that is done.</summary>
    /// <param name="handover">How long nobody was served.</param>
    public void AddDone(TimeSpan handover)
    {
        Add(ReloadResult.Done);
        Volatile.Write(ref _handoverMicroseconds, (long)handover.TotalMicroseconds);
    }

    /// <summary>Remembers one that an earlier image has counted, or this one has.</summary>
    public void Remember(DateTimeOffset at, ReloadResult result)
    {
        lock (_lock)
        {
            if (_last.Count == MostRemembered) _last.Dequeue();
            _last.Enqueue((at, result));
        }
    }
}
