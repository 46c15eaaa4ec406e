using System.Diagnostics;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public class ProcessUseTests
{
    [Fact]
    public void Processor_time_is_counted_finely_and_stays_when_its_thread_has_ended()
    {
        double before = ProcessUse.Of(Environment.ProcessId)!.Value.CpuSeconds;
        Thread busy = new(() => { for (long began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalMilliseconds < 3;) { } });
        busy.Start();
        busy.Join();
        double used = ProcessUse.Of(Environment.ProcessId)!.Value.CpuSeconds - before;

        // Other tests run in this process at the same time; a busy machine may have let the thread run for a part of the time only.
        Assert.InRange(used, 1e-6, 60);
        Assert.InRange(before, 0.01, Process.GetCurrentProcess().TotalProcessorTime.TotalSeconds + 0.1);
    }

    [Fact]
    public void A_process_that_is_gone_uses_nothing()
    {
        using Process brief = Process.Start("true");
        brief.WaitForExit();
        Assert.Null(ProcessUse.Of(brief.Id));
        Assert.Null(ProcessUse.Of([brief.Id]));
    }
}
