using System.Diagnostics;

namespace Megaphone.Tests.Links;

/// <summary>How long the tests wait for what must happen. Nothing waits without a bound.</summary>
internal static class Patience
{
    /// <summary>Far more than anything takes that works, so that a busy machine fails no test.</summary>
    public static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    /// <summary>How long something is watched that must not happen.</summary>
    public static readonly TimeSpan Short = TimeSpan.FromMilliseconds(150);

    /// <summary>Waits until the condition holds.</summary>
    /// <exception cref="TimeoutException">It never did; the message says what was awaited.</exception>
    public static async Task UntilAsync(Func<bool> condition, string what)
    {
        long began = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(began) > Long) throw new TimeoutException($"Not within {Long.TotalSeconds} s: {what}");
            await Task.Delay(2);
        }
    }

    /// <summary>Waits for the task, or fails and says what was awaited.</summary>
    public static async Task WithinAsync(Task task, string what)
    {
        if (await Task.WhenAny(task, Task.Delay(Long)) != task) throw new TimeoutException($"Not within {Long.TotalSeconds} s: {what}");
        await task;
    }
}
