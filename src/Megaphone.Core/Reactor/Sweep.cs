namespace Megaphone.Reactor;

/// <summary>
/// A walk through the slots of a table that closes some of the connections, at a rate, and in turns, so that others are served
/// meanwhile. Not thread-safe.
/// </summary>
internal sealed class Sweep
{
    /// <summary>Milliseconds between turns, where there is a rate.</summary>
    private const int Interval = 20;

    /// <summary>Connections that a turn may close where there is no rate.</summary>
    private const int ClosesWithoutRate = 256;

    /// <summary>Slots that a turn may look at, whether they hold a connection to be closed or not.</summary>
    private const int SlotsInTurn = 1 << 14;

    private double _closesPerMillisecond;
    private int _next;
    private int _end;
    private double _quota;
    private long _turnBegan;

    /// <summary>Nothing runs before <see cref="Begin"/>.</summary>
    /// <param name="closesPerSecond">See <see cref="ClosesPerSecond"/>.</param>
    public Sweep(double closesPerSecond) => ClosesPerSecond = closesPerSecond;

    /// <summary>Connections to close in a second; infinite: as fast as it goes.</summary>
    public double ClosesPerSecond
    {
        set => _closesPerMillisecond = value / 1000;
    }

    /// <summary>Whether there are slots that have not been looked at.</summary>
    public bool IsRunning { get; private set; }

    /// <summary>Milliseconds that may pass until the next turn; <see cref="int.MaxValue"/> when there will be none.</summary>
    public int UntilNextTurn => !IsRunning ? int.MaxValue : HasRate ? Interval : 0;

    private bool HasRate => !double.IsInfinity(_closesPerMillisecond);

    /// <summary>Begins with the first slot, even while it runs.</summary>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    /// <param name="isAgain">False: the first turn may begin at once.</param>
    public void Begin(long now, bool isAgain = false)
    {
        IsRunning = true;
        _next = 0;
        _turnBegan = isAgain ? now : now - Interval;
    }

    /// <summary>Ends it, whether it has looked at all slots or not.</summary>
    public void End() => IsRunning = false;

    /// <summary>Begins a turn, if it is time for one.</summary>
    public bool TryBeginTurn(long now)
    {
        long passed = now - _turnBegan;
        if (!IsRunning || (HasRate && passed < Interval)) return false;

        // What was not used is saved, up to two turns' worth; a rate below one connection in that time still closes one now and then.
        _quota = HasRate
            ? Math.Min(_quota + (passed * _closesPerMillisecond), Math.Max(1, 2 * Interval * _closesPerMillisecond))
            : ClosesWithoutRate;
        _turnBegan = now;
        _end = _next + SlotsInTurn;
        return true;
    }

    /// <summary>The next slot to look at.</summary>
    /// <param name="used">How many slots there are.</param>
    /// <param name="index">The slot.</param>
    /// <returns>False at the end of the turn, or of the walk.</returns>
    public bool TryNext(int used, out int index)
    {
        index = _next;
        if (_next >= used) IsRunning = false;
        if (_next >= used || _next >= _end || _quota < 1) return false;
        _next++;
        return true;
    }

    /// <summary>The connection in the slot was closed.</summary>
    public void CountClosed() => _quota--;
}
