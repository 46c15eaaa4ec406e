namespace Megaphone.Cores;

/// <summary>Decides from what the threads of a process have done for a while whether one core is enough for them.</summary>
/// <remarks>Not thread-safe.</remarks>
internal struct CoreDemand
{
    /// <summary>The share of one core below which they gather on it.</summary>
    public const double GatherBelow = 0.4;

    /// <summary>
    /// The share of the time, running and waiting taken together, above which they leave the one core: it is full then.
    /// </summary>
    public const double SpreadAbove = 0.8;

    /// <summary>Waiting of so much, and so many times as much as running, is a stranger's doing, however little it is that waits.</summary>
    public const double StrangerFrom = 0.05;

    /// <inheritdoc cref="StrangerFrom"/>
    public const double StrangerTimes = 4;

    /// <summary>Milliseconds for which they stay spread when they had to; doubled each time that it was soon after they gathered.</summary>
    public const int FirstPause = 1_000;

    /// <summary>The longest pause, in milliseconds, and what is no longer soon.</summary>
    public const int LongestPause = 60_000;

    private long _gatheredAt;
    private long _gatherAgainAt;
    private int _pause;

    /// <summary>Whether they are to be on one core.</summary>
    public bool IsGathered { get; private set; }

    /// <summary>Whether it is little enough to gather, or to move on to another core.</summary>
    /// <param name="ran">As for <see cref="Note"/>.</param>
    public static bool IsLittle(double ran) => ran < GatherBelow;

    /// <summary>Notes what they have done since the last time.</summary>
    /// <param name="ran">How long they ran, as a share of the time; 1 is one core. Not negative.</param>
    /// <param name="waited">How long they waited for a core, in the same way; matters only while they are gathered.</param>
    /// <param name="now">The time in milliseconds, as <see cref="Environment.TickCount64"/> tells it.</param>
    public void Note(double ran, double waited, long now)
    {
        if (!IsGathered && IsLittle(ran) && now >= _gatherAgainAt)
        {
            IsGathered = true;
            _gatheredAt = now;
        }
        else if (IsGathered && (ran + waited > SpreadAbove || (waited > StrangerFrom && waited > StrangerTimes * ran)))
        {
            IsGathered = false;
            _pause = now - _gatheredAt >= LongestPause ? FirstPause : Math.Clamp(2 * _pause, FirstPause, LongestPause);
            _gatherAgainAt = now + _pause;
        }
    }
}
