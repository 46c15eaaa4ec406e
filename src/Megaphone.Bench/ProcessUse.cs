using System.Globalization;

namespace Megaphone.Bench;

/// <summary>What one process uses, as the kernel counts it.</summary>
/// <param name="MemoryBytes">Memory of its own: RssAnon and RssShmem of <c>/proc/PID/status</c>, without mapped files.</param>
/// <param name="CpuSeconds">Processor time since it was started, to a hundredth of a second.</param>
internal readonly record struct ProcessUse(long MemoryBytes, double CpuSeconds)
{
    /// <summary>USER_HZ: what <c>/proc</c> counts in, whatever the kernel itself does.</summary>
    private const double TicksPerSecond = 100;

    /// <summary>Fields of <c>/proc/PID/stat</c> behind the name in brackets: utime and stime.</summary>
    private const int UserTimeField = 11;

    /// <summary>Looks at several processes, and adds up what they use; null when all of them are gone.</summary>
    public static ProcessUse? Of(IReadOnlyList<int> processIds)
    {
        ProcessUse? sum = null;
        foreach (int id in processIds)
        {
            if (Of(id) is { } use) sum = new ProcessUse((sum?.MemoryBytes ?? 0) + use.MemoryBytes, (sum?.CpuSeconds ?? 0) + use.CpuSeconds);
        }

        return sum;
    }

    /// <summary>Looks at a process; null when it is gone, or not ours to look at.</summary>
    public static ProcessUse? Of(int processId)
    {
        try
        {
            long kibibytes = 0;
            foreach (string line in File.ReadLines($"/proc/{processId}/status"))
            {
                if (line.StartsWith("RssAnon:", StringComparison.Ordinal) || line.StartsWith("RssShmem:", StringComparison.Ordinal))
                    kibibytes += long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
            }

            string stat = File.ReadAllText($"/proc/{processId}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            double ticks = double.Parse(fields[UserTimeField], CultureInfo.InvariantCulture)
                + double.Parse(fields[UserTimeField + 1], CultureInfo.InvariantCulture);
            return new ProcessUse(kibibytes * 1024, ticks / TicksPerSecond);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
