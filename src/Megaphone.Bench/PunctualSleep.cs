using System.Diagnostics;
using Megaphone.Interop;

namespace Megaphone.Bench;

/// <summary>Sleeps that end on time; the kernel's default lets them be 50 µs late, and the runtime's a millisecond.</summary>
internal static unsafe class PunctualSleep
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>Makes the sleeps of the calling thread punctual.</summary>
    public static void Prepare() => _ = Libc.ProcessControl(Libc.SetTimerSlack, 1, 0, 0, 0);

    /// <summary>Sleeps until then, or for <paramref name="longest"/>, whichever is sooner. A signal may end it early.</summary>
    public static void Until(long due, TimeSpan longest)
    {
        long ticks = Math.Min(due - Stopwatch.GetTimestamp(), (long)(longest.TotalSeconds * Stopwatch.Frequency));
        if (ticks <= 0) return;
        long nanoseconds = (long)(ticks * (NanosecondsPerSecond / (double)Stopwatch.Frequency));
        long* time = stackalloc long[2] { nanoseconds / NanosecondsPerSecond, nanoseconds % NanosecondsPerSecond };
        _ = Libc.NanoSleep(time, null);
    }
}
