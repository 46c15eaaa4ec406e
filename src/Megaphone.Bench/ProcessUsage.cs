using System.Globalization;
using Megaphone.Interop;

namespace Megaphone.Bench;

/// <summary>What one process uses, as the kernel counts it.</summary>
/// <param name="MemoryBytes">Memory of its own: RssAnon and RssShmem of <c>/proc/PID/status</c>, without mapped files.</param>
/// <param name="CpuSeconds">Processor time since it was started, of threads that have ended too.</param>
internal readonly record struct ProcessUsage(long MemoryBytes, double CpuSeconds)
{
    private const double NanosecondsPerSecond = 1e9;

    /// <summary>The usage of several processes, added up; null when all of them are gone.</summary>
    public static ProcessUsage? Of(IReadOnlyList<int> processIds)
    {
        ProcessUsage? sum = null;
        foreach (int id in processIds)
        {
            if (Of(id) is { } use) sum = new ProcessUsage((sum?.MemoryBytes ?? 0) + use.MemoryBytes, (sum?.CpuSeconds ?? 0) + use.CpuSeconds);
        }

        return sum;
    }

    /// <summary>The usage of one process; null when it is gone, or may not be looked at.</summary>
    public static ProcessUsage? Of(int processId)
    {
        try
        {
            long kibibytes = 0;
            foreach (string line in File.ReadLines($"/proc/{processId}/status"))
            {
                if (line.StartsWith("RssAnon:", StringComparison.Ordinal) || line.StartsWith("RssShmem:", StringComparison.Ordinal))
                    kibibytes += long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
            }

            return TryReadClock(processId, out double seconds) ? new ProcessUsage(kibibytes * 1024, seconds) : null;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The name of a process's program, as the kernel has it; it may be cut after 15 bytes.</summary>
    public static string NameOf(int processId)
    {
        try
        {
            return File.ReadAllText($"/proc/{processId}/comm").TrimEnd('\n');
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "process";
        }
    }

    /// <summary>Reads a process's own clock, whose number is made as CPUCLOCK_SCHED's are in Linux's <c>posix-timers.h</c>.</summary>
    private static unsafe bool TryReadClock(int processId, out double seconds)
    {
        const int ScheduledTime = 2;
        long* time = stackalloc long[2];
        bool isThere = Libc.ReadClock((~processId << 3) | ScheduledTime, time) == 0;
        seconds = time[0] + time[1] / NanosecondsPerSecond;
        return isThere;
    }
}
