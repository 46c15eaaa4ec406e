using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>Drives a run on the calling thread: goes from phase to phase, and does what is due while it waits for other threads.</summary>
/// <param name="context">Says when the run is to stop, which ends every wait.</param>
/// <param name="longestStall">How long a wait may go on without progress.</param>
/// <param name="watch">Samples the processes at the end of each phase.</param>
/// <param name="problems">The run's problems.</param>
/// <param name="duties">What is due about once a millisecond.</param>
internal sealed class RunDriver(RunContext context, TimeSpan longestStall, ProcessWatch watch, ProblemCounts problems, Action duties)
{
    private static readonly TimeSpan PauseTime = TimeSpan.FromMilliseconds(1);

    /// <summary>Whether the run is to stop early.</summary>
    public bool IsStopped => context.IsStopped;

    /// <summary>Ends a phase. Returns when the next one may begin: in a split run, when all workers have ended it.</summary>
    public void EndPhase(string phase)
    {
        watch.Mark(phase);
        if (context.Worker is not { } worker) return;
        worker.EndPhase(phase);
        while (!worker.MayContinue && !IsStopped) Pause();
    }

    /// <summary>Shows the progress of something until the result is disposed.</summary>
    public Progress ShowProgress(string what, long total, Func<long> done) =>
        new(() => (what, done(), total), () => problems.Total, context.Worker);

    /// <summary>Shows how much of a time has passed until the result is disposed.</summary>
    public Progress ShowProgress(string what, TimeSpan time)
    {
        long began = Stopwatch.GetTimestamp();
        return ShowProgress(
            $"{what}{Progress.InSeconds}", (long)Math.Ceiling(time.TotalSeconds), () => (long)Stopwatch.GetElapsedTime(began).TotalSeconds);
    }

    /// <summary>A timeout for what makes no progress.</summary>
    public StallTimeout NewStallTimeout() => new(longestStall);

    /// <summary>Does what is due, and sleeps for a millisecond, or until <paramref name="due"/>.</summary>
    /// <param name="due">In ticks of <see cref="Stopwatch"/>.</param>
    public void Pause(long due = long.MaxValue)
    {
        duties();
        PreciseSleep.Until(due, PauseTime);
    }

    /// <summary>Waits for a time, or until something is over.</summary>
    public void Wait(TimeSpan time, Func<bool>? isOver = null)
    {
        long began = Stopwatch.GetTimestamp();
        while (!IsStopped && isOver?.Invoke() != true && Stopwatch.GetElapsedTime(began) < time) Pause();
    }

    /// <summary>Goes on watching the processes after the end.</summary>
    public void KeepWatching(TimeSpan time)
    {
        if (time == TimeSpan.Zero) return;
        using (ShowProgress("watching", time)) Wait(time);
        EndPhase("later");
    }

    /// <summary>Waits until something is done, or <paramref name="count"/> has not changed for too long.</summary>
    /// <param name="done">Whether it is done.</param>
    /// <param name="count">Grows with the progress.</param>
    /// <param name="ending">Whether it belongs to the end of a run, which is orderly even when it comes early.</param>
    public void WaitUntil(Func<bool> done, Func<long> count, bool ending = false)
    {
        StallTimeout stall = NewStallTimeout();
        while (!done() && (ending || !IsStopped) && !stall.HasExpired(count())) Pause();
    }
}
