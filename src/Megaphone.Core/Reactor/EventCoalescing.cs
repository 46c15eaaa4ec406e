namespace Megaphone.Reactor;

/// <summary>Decides when a thread delays its next wait for events, so that more of them come together.</summary>
/// <remarks>
/// To fall asleep and be woken costs as much as handling several messages. While so many events come that a delay gathers at least
/// <see cref="MinEventsPerDelay"/>, they are cheaper in one batch; where they come one by one, or where they fill batches anyway, nobody
/// waits. Network cards moderate their interrupts in the same way. Not thread-safe.
/// </remarks>
internal struct EventCoalescing
{
    /// <summary>Microseconds of a delay; the kernel's timers add about 50.</summary>
    public const int DelayMicroseconds = 500;

    /// <summary>Events that a delay has to gather to be worth it.</summary>
    private const int MinEventsPerDelay = 13;

    /// <summary>Events that make a batch large enough without a delay.</summary>
    private const int FullBatch = 128;

    /// <summary>How long the rate of events is measured, in milliseconds: a few ticks of the coarse clock.</summary>
    private const int WindowMilliseconds = 12;

    private long _windowBegan;
    private long _events;
    private bool _isBusy;

    /// <summary>Notes that a batch was handled.</summary>
    /// <param name="events">How many events there were.</param>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    /// <returns>Whether to delay before the next.</returns>
    public bool ShouldDelayAfter(int events, long now)
    {
        long window = now - _windowBegan;
        if (window >= WindowMilliseconds)
        {
            _isBusy = _events * DelayMicroseconds >= MinEventsPerDelay * 1000 * window;
            _windowBegan = now;
            _events = 0;
        }

        _events += events;
        return _isBusy && events is > 0 and < FullBatch;
    }
}
