namespace Megaphone.Ecm;

/// <summary>How many connections a second are let in: as many at once, then evenly (the generic cell rate algorithm).</summary>
/// <remarks>
/// A bucket is one number: the time at which it is full again. Each connection moves it ahead by an interval, and one that would move it more than a
/// second ahead is refused. Times are of 32 bits and come again after 18 hours. One that lies further ahead than a second is therefore an old
/// one, of a bucket that is full; that one of 65,536 old ones is taken for a recent one costs at most one connection a moment's wait.
/// </remarks>
/// <param name="perSecond">Connections, 1 to 65,536; 0: any number.</param>
internal readonly struct TokenBucket(int perSecond)
{
    /// <summary>The most that may be asked for.</summary>
    public const int MaxPerSecond = 1000;

    private const int UnitsPerSecond = 1 << 16;

    private readonly int _interval = perSecond == 0 ? 0 : Math.Max(1, UnitsPerSecond / perSecond);

    /// <summary>The time in a bucket's units.</summary>
    /// <param name="milliseconds">As <see cref="Environment.TickCount64"/> tells it.</param>
    public static uint TimeOf(long milliseconds) => (uint)(milliseconds * UnitsPerSecond / 1000);

    /// <summary>Whether a bucket is full.</summary>
    public static bool IsFull(uint fullAt, uint now) => Ahead(fullAt, now) == 0;

    /// <summary>Takes a token from a bucket.</summary>
    /// <param name="fullAt">The bucket.</param>
    /// <param name="now">The time.</param>
    /// <returns>False when there is none.</returns>
    public bool TryTake(ref uint fullAt, uint now)
    {
        int ahead = Ahead(fullAt, now) + _interval;
        if (ahead > UnitsPerSecond) return false;
        if (_interval > 0) fullAt = now + (uint)ahead;
        return true;
    }

    private static int Ahead(uint fullAt, uint now)
    {
        int ahead = (int)(fullAt - now);
        return ahead is < 0 or > UnitsPerSecond ? 0 : ahead;
    }
}
