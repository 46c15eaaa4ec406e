using System.Diagnostics;

namespace Megaphone.Sockets;

/// <summary>Decides when a thread rests for a moment before it looks for events again.</summary>
/// <remarks>
/// To fall asleep and be woken costs as much as several messages. While so many events come that a rest brings a handful, they are
/// better served together; where they come one by one, or where they fill batches anyway, nobody waits. Network cards moderate their
/// interrupts in the same way. Not thread-safe.
/// </remarks>
internal struct BatchRest
{
    /// <summary>Microseconds of a rest; the kernel's timers add about 50.</summary>
    public const int Microseconds = 150;

    /// <summary>Events that a rest has to bring.</summary>
    private const int Handful = 4;

    /// <summary>Events that are a batch without a rest.</summary>
    private const int Enough = 64;

    /// <summary>What of the past counts: about the last sixteen batches.</summary>
    private const double Remembered = 15.0 / 16;

    private long _last;
    private double _events;
    private double _microseconds;

    /// <summary>Notes that a batch was served.</summary>
    /// <param name="events">How many there were.</param>
    /// <param name="timestamp">The time, as <see cref="Stopwatch.GetTimestamp"/> tells it.</param>
    /// <returns>Whether to rest before the next.</returns>
    public bool IsDueAfter(int events, long timestamp)
    {
        _events = _events * Remembered + events;
        _microseconds = _microseconds * Remembered + (timestamp - _last) * (1e6 / Stopwatch.Frequency);
        _last = timestamp;
        return events is > 0 and < Enough && _events * Microseconds >= Handful * _microseconds;
    }
}
