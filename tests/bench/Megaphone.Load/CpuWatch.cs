using System.Globalization;

namespace Megaphone.Load;

/// <summary>The processor time that other processes have used so far, from <c>/proc/PID/task/*/schedstat</c>.</summary>
/// <remarks>
/// Nanoseconds, where <c>/proc/PID/stat</c> counts hundredths of a second. A thread that ends takes its time with it; the
/// processes watched here keep theirs while they are measured.
/// </remarks>
internal sealed class CpuWatch(int[] processIds)
{
    private double[] _before = [.. processIds.Select(Seconds)];

    /// <summary>Begins to count anew.</summary>
    public void Restart() => _before = [.. processIds.Select(Seconds)];

    /// <summary>Seconds used since <see cref="Restart"/>, by process id.</summary>
    public (int ProcessId, double Seconds)[] Read() =>
        [.. processIds.Select((id, i) => (id, Seconds(id) - _before[i]))];

    private static double Seconds(int processId)
    {
        double nanoseconds = 0;
        foreach (string task in Directory.EnumerateDirectories($"/proc/{processId}/task"))
        {
            string used = File.ReadAllText($"{task}/schedstat").Split(' ')[0];
            nanoseconds += double.Parse(used, CultureInfo.InvariantCulture);
        }

        return nanoseconds / 1e9;
    }
}
