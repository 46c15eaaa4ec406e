namespace Megaphone;

/// <summary>Waits of tests, each with a bound. Compiled into the unit tests, the end-to-end tests and the attacks.</summary>
internal static class BoundedWait
{
    /// <summary>
    /// The bound: far more than anything takes, so that no test fails on a busy machine, and less than the three minutes after which a run
    /// that hangs is ended.
    /// </summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    /// <summary>How long a test watches for what must not happen.</summary>
    public static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(400);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>Watches for what must not happen.</summary>
    /// <exception cref="InvalidOperationException">It happened; the message says what.</exception>
    public static async Task NeverAsync(Func<bool> happened, string what)
    {
        for (long end = Environment.TickCount64 + (long)Watch.TotalMilliseconds; Environment.TickCount64 < end; await Task.Delay(Pause))
        {
            if (happened()) throw new InvalidOperationException($"This was not to happen: {what}");
        }
    }

    /// <summary>Waits until the condition holds.</summary>
    /// <exception cref="TimeoutException">It never did; the message says what was awaited and how things stood last.</exception>
    public static async Task UntilAsync(Func<Task<bool>> condition, Func<string> what)
    {
        using CancellationTokenSource end = new(Limit);
        while (!await condition())
        {
            if (end.IsCancellationRequested) throw new TimeoutException($"Not within {Limit.TotalSeconds} s: {what()}");
            await Task.Delay(Pause);
        }
    }

    /// <summary>Waits until the condition holds.</summary>
    public static Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), () => what);

    /// <summary>The task's result, or a failure that says what was awaited.</summary>
    /// <param name="task">The task.</param>
    /// <param name="what">What is awaited.</param>
    /// <param name="atMost">For how long; null: <see cref="Limit"/>.</param>
    public static async Task<T> WithinAsync<T>(Task<T> task, string what, TimeSpan? atMost = null)
    {
        try
        {
            return await task.WaitAsync(atMost ?? Limit);
        }
        catch (TimeoutException) when (!task.IsFaulted)
        {
            throw new TimeoutException($"Not within {(atMost ?? Limit).TotalSeconds} s: {what}");
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
