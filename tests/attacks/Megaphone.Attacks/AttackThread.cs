using System.Runtime.InteropServices;

namespace Megaphone.Attacks;

/// <summary>
/// Threads for attackers: not those of the pool, on which honest clients run, and with a lower priority than others, because a real
/// attacker has a machine of its own.
/// </summary>
internal static partial class AttackThread
{
    private const int ProcessOrThread = 0;
    private const int Niceness = 10;

    /// <summary>Runs something on several threads at the same time, each of which is given its number.</summary>
    public static Task RunAsync(int count, Action<int> body) => Task.WhenAll(Enumerable.Range(0, count).Select(i => RunAsync(() => body(i))));

    /// <summary>Runs something on a thread of its own.</summary>
    public static Task RunAsync(Action body)
    {
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            // Linux takes 0 for the calling thread. Where this is not permitted, the attack only takes more of the processor.
            _ = setpriority(ProcessOrThread, 0, Niceness);
            try
            {
                body();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        })
        { IsBackground = true }.Start();
        return done.Task;
    }

    [LibraryImport("libc")]
    private static partial int setpriority(int which, int who, int priority);
}
