using System.Diagnostics;

namespace Megaphone.Tests.Links;

/// <summary>Waits of tests, each with a bound.</summary>
internal static class BoundedWait
{
    /// <summary>The bound: far more than anything takes, so that no test fails on a busy machine.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>How long a test watches for what must not happen.</summary>
    public static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(150);

    /// <summary>Waits until the condition holds.</summary>
    /// <exception cref="TimeoutException">It never did; the message says what was awaited.</exception>
    public static async Task UntilAsync(Func<bool> condition, string what)
    {
        long began = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(began) > Limit) throw new TimeoutException($"Not within {Limit.TotalSeconds} s: {what}");
            await Task.Delay(2);
        }
    }

    /// <summary>Waits for the task, or fails and says what was awaited.</summary>
    public static async Task WithinAsync(Task task, string what)
    {
        if (await Task.WhenAny(task, Task.Delay(Limit)) != task) throw new TimeoutException($"Not within {Limit.TotalSeconds} s: {what}");
        await task;
    }
}
