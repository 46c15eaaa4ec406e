using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>When each of a series of actions is due.</summary>
/// <param name="begin">When the first is due, in ticks of <see cref="Stopwatch"/>.</param>
/// <param name="perSecond">How many are due per second; 0: all of them at once.</param>
internal readonly struct Schedule(long begin, double perSecond)
{
    /// <summary>When an action is due, in ticks of <see cref="Stopwatch"/>.</summary>
    public long Due(long number) => perSecond > 0 ? begin + (long)(number * (Stopwatch.Frequency / perSecond)) : begin;
}
