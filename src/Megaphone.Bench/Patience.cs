using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>Ends a wait in which nothing happens.</summary>
/// <param name="longest">How long that may be so.</param>
internal sealed class Patience(TimeSpan longest)
{
    private long _last = long.MinValue;
    private long _since;

    /// <summary>Whether it is over.</summary>
    /// <param name="count">Grows with everything that happens.</param>
    public bool IsOver(long count)
    {
        if (count == _last) return Stopwatch.GetElapsedTime(_since) > longest;
        _last = count;
        _since = Stopwatch.GetTimestamp();
        return false;
    }
}
