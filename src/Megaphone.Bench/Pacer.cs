using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>
/// Leads the calling thread through a run: lets it wait for what others do, while it does what is to be done now and then.
/// </summary>
/// <param name="context">Ends every wait when it is to stop.</param>
/// <param name="longestStall">How long nothing may happen.</param>
/// <param name="watch">Notes how things stand after each phase.</param>
/// <param name="problems">What went wrong.</param>
/// <param name="chores">Done between naps, about once a millisecond.</param>
internal sealed class Pacer(RunContext context, TimeSpan longestStall, ProcessWatch watch, Tally problems, Action chores)
{
    private static readonly TimeSpan NapTime = TimeSpan.FromMilliseconds(1);

    /// <summary>Whether the run is to end.</summary>
    public bool Stopped => context.Stopped;

    /// <summary>A phase has ended. Returns when the next one may begin.</summary>
    public void Reach(string phase)
    {
        watch.Mark(phase);
        if (context.Part is not { } part) return;
        part.Reach(phase);
        while (!part.MayGoOn && !Stopped) Nap();
    }

    /// <summary>Tells how far something is until it is disposed.</summary>
    public Progress Tell(string what, long total, Func<long> done) =>
        new(() => (what, done(), total), () => problems.Total, context.Part);

    /// <summary>Tells how much of a time has passed until it is disposed.</summary>
    public Progress Tell(string what, TimeSpan time)
    {
        long began = Stopwatch.GetTimestamp();
        return Tell(
            $"{what}{Progress.InSeconds}", (long)Math.Ceiling(time.TotalSeconds), () => (long)Stopwatch.GetElapsedTime(began).TotalSeconds);
    }

    /// <summary>Something that is given up when it does not come on for too long.</summary>
    public StallTimeout NewStallTimeout() => new(longestStall);

    /// <summary>Does the chores, and naps; shorter if something is due sooner.</summary>
    /// <param name="due">In ticks of <see cref="Stopwatch"/>.</param>
    public void Nap(long due = long.MaxValue)
    {
        chores();
        PunctualSleep.Until(due, NapTime);
    }

    /// <summary>Waits for so long, unless something puts an end to it.</summary>
    public void Wait(TimeSpan time, Func<bool>? isOver = null)
    {
        long began = Stopwatch.GetTimestamp();
        while (!Stopped && isOver?.Invoke() != true && Stopwatch.GetElapsedTime(began) < time) Nap();
    }

    /// <summary>Goes on watching after the end.</summary>
    public void WaitOn(TimeSpan time)
    {
        if (time == TimeSpan.Zero) return;
        using (Tell("watching on", time)) Wait(time);
        Reach("later");
    }

    /// <summary>Waits until something is done, or <paramref name="count"/> has not grown for too long.</summary>
    /// <param name="done">Whether it is.</param>
    /// <param name="count">Grows with everything that happens.</param>
    /// <param name="ending">It belongs to the end of a run, which is in order even when it is early.</param>
    public void WaitUntil(Func<bool> done, Func<long> count, bool ending = false)
    {
        StallTimeout stall = NewStallTimeout();
        while (!done() && (ending || !Stopped) && !stall.HasExpired(count())) Nap();
    }
}
