namespace Megaphone.Reactor;

/// <summary>Decides when a thread rests for a moment before it looks for events again.</summary>
/// <remarks>
/// To fall asleep and be woken costs as much as several messages. While so many events come that a rest brings a good number, they are
/// better served together; where they come one by one, or where they fill batches anyway, nobody waits. Network cards moderate their
/// interrupts in the same way. Not thread-safe.
/// </remarks>
internal struct BatchRest
{
    /// <summary>Microseconds of a rest; the kernel's timers add about 50.</summary>
    public const int Microseconds = 500;

    /// <summary>Events that a rest has to bring.</summary>
    private const int GoodNumber = 13;

    /// <summary>Events that are a batch without a rest.</summary>
    private const int Enough = 128;

    /// <summary>For how long the rate is taken, in milliseconds: a few ticks of the coarse clock.</summary>
    private const int WindowMilliseconds = 12;

    private long _windowBegan;
    private long _events;
    private bool _manyCome;

    /// <summary>Notes that a batch was served.</summary>
    /// <param name="events">How many there were.</param>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    /// <returns>Whether to rest before the next.</returns>
    public bool IsDueAfter(int events, long now)
    {
        long window = now - _windowBegan;
        if (window >= WindowMilliseconds)
        {
            _manyCome = _events * Microseconds >= GoodNumber * 1000 * window;
            _windowBegan = now;
            _events = 0;
        }

        _events += events;
        return _manyCome && events is > 0 and < Enough;
    }
}
