using System.Diagnostics;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public class ProcessUsageTests
{
    [Fact]
    public void The_processor_time_of_threads_that_have_ended_is_counted()
    {
        double before = ProcessUsage.Of(Environment.ProcessId)!.Value.CpuSeconds;
        Thread busy = new(() => { for (long began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalMilliseconds < 3;) { } });
        busy.Start();
        busy.Join();
        double used = ProcessUsage.Of(Environment.ProcessId)!.Value.CpuSeconds - before;

        // Other tests run in this process at the same time; a busy machine may have let the thread run for a part of the time only.
        Assert.InRange(used, 1e-6, 60);
        Assert.InRange(before, 0.01, Process.GetCurrentProcess().TotalProcessorTime.TotalSeconds + 0.1);
    }

    [Fact]
    public void A_process_that_is_gone_uses_nothing()
    {
        using Process brief = Process.Start("true");
        brief.WaitForExit();
        Assert.Null(ProcessUsage.Of(brief.Id));
        Assert.Null(ProcessUsage.Of([brief.Id]));
    }
}
