using System.Diagnostics;
using Megaphone.Cores;
using Megaphone.Tests.Links;
using Xunit;

namespace Megaphone.Tests.Cores;

/// <summary>The threads of the test process itself; that they can be moved, the end-to-end tests see.</summary>
[Collection(nameof(Alone))]
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
    public void The_calling_thread_runs_on_one_of_them() => Assert.True(ProcessThreads.Allowed().Contains(ProcessThreads.CurrentCore()));

    [Fact]
    public void Whoever_wants_to_run_while_others_do_has_waited()
    {
        ProcessThreads own = new();
        using Barrier end = new(4 * ProcessThreads.Allowed().Count + 1);
        Stopwatch watch = Stopwatch.StartNew();
        Thread[] threads = [.. Enumerable.Range(1, end.ParticipantCount - 1).Select(_ => new Thread(() =>
        {
            while (watch.ElapsedMilliseconds < 400) Thread.SpinWait(1000);
            end.SignalAndWait();
        }))];
        TimeSpan waitedBefore = own.Waited();
        TimeSpan ranBefore = Environment.CpuUsage.TotalTime;
        foreach (Thread thread in threads) thread.Start();
        while (watch.ElapsedMilliseconds < 400) Thread.Sleep(10);
        TimeSpan ran = Environment.CpuUsage.TotalTime - ranBefore;
        TimeSpan waited = own.Waited() - waitedBefore;
        end.SignalAndWait();
        foreach (Thread thread in threads) thread.Join();

        // Of those four to a core, one runs and three wait at any time.
        Assert.InRange(waited / ran, 1.5, double.PositiveInfinity);
    }
}
