using System.Diagnostics;
using Megaphone.Cores;
using Xunit;

namespace Megaphone.Tests.Cores;

/// <summary>The threads of the test process itself; that they can be moved, the end-to-end tests see.</summary>
public class ProcessThreadsTests
{
    [Fact]
    public void The_allowed_cores_are_those_that_the_system_counts()
    {
        string line = File.ReadLines("/proc/thread-self/status").Single(line => line.StartsWith("Cpus_allowed:", StringComparison.Ordinal));
        string mask = line["Cpus_allowed:".Length..].Replace(",", "", StringComparison.Ordinal).Trim();

        Assert.Equal(mask.Sum(digit => int.PopCount(Convert.FromHexString($"0{digit}")[0])), ProcessThreads.Allowed().Count);
    }

    [Fact]
    public void Whoever_wants_to_run_while_others_do_has_waited()
    {
        TimeSpan before = ProcessThreads.Waited();
        Stopwatch watch = Stopwatch.StartNew();
        Thread[] threads = [.. Enumerable.Range(0, 4 * Environment.ProcessorCount).Select(_ => new Thread(() =>
        {
            while (watch.ElapsedMilliseconds < 300) Thread.SpinWait(1000);
        }))];
        foreach (Thread thread in threads) thread.Start();
        Thread.Sleep(200);

        // Of those four to a core, three wait at any time.
        Assert.True(ProcessThreads.Waited() - before > TimeSpan.FromMilliseconds(100));
        foreach (Thread thread in threads) thread.Join();
    }
}
