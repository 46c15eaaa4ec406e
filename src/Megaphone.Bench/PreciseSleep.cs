using System.Diagnostics;
using Megaphone.Interop;

namespace Megaphone.Bench;

/// <summary>Sleeps with the precision that fixed rates need: the kernel's default is 50 µs, the runtime's a millisecond.</summary>
internal static unsafe class PreciseSleep
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>Makes the sleeps of the calling thread precise.</summary>
    public static void Prepare() => _ = Libc.ProcessControl(Libc.SetTimerSlack, 1, 0, 0, 0);

    /// <summary>Sleeps until a time, in ticks of <see cref="Stopwatch"/>, or for <paramref name="longest"/>, whichever is sooner.</summary>
    /// <remarks>A signal may end the sleep early.</remarks>
    public static void Until(long due, TimeSpan longest)
    {
        long ticks = Math.Min(due - Stopwatch.GetTimestamp(), (long)(longest.TotalSeconds * Stopwatch.Frequency));
        if (ticks <= 0) return;
        long nanoseconds = (long)(ticks * (NanosecondsPerSecond / (double)Stopwatch.Frequency));
        long* time = stackalloc long[2] { nanoseconds / NanosecondsPerSecond, nanoseconds % NanosecondsPerSecond };
        _ = Libc.NanoSleep(time, null);
    }
}
