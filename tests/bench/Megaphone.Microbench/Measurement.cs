using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Microbench;

/// <summary>Times one loop, several times over, and prints how many items it does in a second.</summary>
internal static class Measurement
{
    private const int Runs = 7;

    private static readonly TimeSpan RunTime = TimeSpan.FromMilliseconds(400);

    /// <summary>Measures and prints one line: median, least and most of seven runs, and what a run allocated.</summary>
    /// <param name="name">What is counted.</param>
    /// <param name="pass">Does one pass over the data.</param>
    /// <param name="items">How many items a pass does.</param>
    public static void Print(string name, Action pass, int items)
    {
        // The first run is thrown away: until its end the compiler may still replace the loop by a better one.
        RunOnce(pass, items);

        double[] perSecond = new double[Runs];
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        for (int run = 0; run < Runs; run++) perSecond[run] = RunOnce(pass, items);
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;

        Array.Sort(perSecond);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name,-44} {perSecond[Runs / 2] / 1e6,8:F1} {perSecond[0] / 1e6,8:F1} {perSecond[^1] / 1e6,8:F1}"
            + $" {allocated,10}"));
    }

    private static double RunOnce(Action pass, int items)
    {
        long start = Stopwatch.GetTimestamp();
        long done = 0;
        TimeSpan elapsed;
        do
        {
            pass();
            done += items;
            elapsed = Stopwatch.GetElapsedTime(start);
        }
        while (elapsed < RunTime);

        return done / elapsed.TotalSeconds;
    }
}
