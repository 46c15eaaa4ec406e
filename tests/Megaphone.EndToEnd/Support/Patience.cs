namespace Megaphone.EndToEnd.Support;

/// <summary>How long the tests wait for what must happen. Nothing waits without a bound.</summary>
internal static class Patience
{
    /// <summary>Far more than anything takes that works, so that a busy machine fails no test.</summary>
    public static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    /// <summary>How long something is watched that must not happen.</summary>
    public static readonly TimeSpan Short = TimeSpan.FromMilliseconds(400);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Waits until the condition holds.</summary>
    /// <exception cref="TimeoutException">It never did; the message says what was awaited and how things stood last.</exception>
    public static async Task UntilAsync(Func<Task<bool>> condition, Func<string> what)
    {
        using CancellationTokenSource end = new(Long);
        while (!await condition())
        {
            if (end.IsCancellationRequested) throw new TimeoutException($"Not within {Long.TotalSeconds} s: {what()}");
            await Task.Delay(Pause);
        }
    }

    /// <summary>Waits until the condition holds.</summary>
    public static Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), () => what);

    /// <summary>The task's result, or a failure that says what was awaited.</summary>
    /// <param name="task">The task.</param>
    /// <param name="what">What is awaited.</param>
    /// <param name="atMost">For how long; null: <see cref="Long"/>.</param>
    public static async Task<T> WithinAsync<T>(Task<T> task, string what, TimeSpan? atMost = null)
    {
        try
        {
            return await task.WaitAsync(atMost ?? Long);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"Not within {(atMost ?? Long).TotalSeconds} s: {what}");
        }
    }

    /// <summary>Waits for the task, or fails and says what was awaited.</summary>
    public static Task WithinAsync(Task task, string what, TimeSpan? atMost = null) => WithinAsync(Finish(task), what, atMost);

    private static async Task<bool> Finish(Task task)
    {
        await task;
        return true;
    }
}
