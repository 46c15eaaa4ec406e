using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>Tells when something has made no progress for too long.</summary>
/// <param name="longest">How long its count may stay the same.</param>
internal sealed class StallTimeout(TimeSpan longest)
{
    private long _last = long.MinValue;
    private long _since;

    /// <summary>Whether the count has stayed the same for too long.</summary>
    /// <param name="count">Grows with the progress.</param>
    public bool HasExpired(long count)
    {
        if (count == _last) return Stopwatch.GetElapsedTime(_since) > longest;
        _last = count;
        _since = Stopwatch.GetTimestamp();
        return false;
    }
}
