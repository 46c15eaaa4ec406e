using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>When each of many things is to be done.</summary>
/// <param name="begin">When the first is, in ticks of <see cref="Stopwatch"/>.</param>
/// <param name="perSecond">How many follow each second; 0: all of them at once.</param>
internal readonly struct Pace(long begin, double perSecond)
{
    /// <summary>The time for one of them, in ticks of <see cref="Stopwatch"/>.</summary>
    public long Due(long number) => perSecond > 0 ? begin + (long)(number * (Stopwatch.Frequency / perSecond)) : begin;
}
