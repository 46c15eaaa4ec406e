using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>Lets the calling thread wait for what others do, while it does what is to be done now and then.</summary>
/// <param name="interruption">Ends every wait.</param>
/// <param name="patience">How long nothing may happen.</param>
/// <param name="chores">Done between naps, about once a millisecond.</param>
internal sealed class Pacer(Interruption interruption, TimeSpan patience, Action chores)
{
    private static readonly TimeSpan NapTime = TimeSpan.FromMilliseconds(1);

    /// <summary>Whether the run is to end.</summary>
    public bool Stopped => interruption.Happened;

    /// <summary>Something that is given up when it does not come on for too long.</summary>
    public Patience NewPatience() => new(patience);

    /// <summary>Does the chores, and naps; shorter if something is due sooner.</summary>
    /// <param name="due">In ticks of <see cref="Stopwatch"/>.</param>
    public void Nap(long due = long.MaxValue)
    {
        chores();
        PunctualSleep.Until(due, NapTime);
    }

    /// <summary>Waits for so long.</summary>
    public void Wait(TimeSpan time)
    {
        long began = Stopwatch.GetTimestamp();
        while (!Stopped && Stopwatch.GetElapsedTime(began) < time) Nap();
    }

    /// <summary>Goes on watching after the end.</summary>
    public void WaitOn(TimeSpan time, ProcessWatch watch, Tally problems)
    {
        if (time == TimeSpan.Zero) return;
        using (Progress.OfTime("watching on", time, problems)) Wait(time);
        watch.Mark("later");
    }

    /// <summary>Waits until something is done, or <paramref name="count"/> has not grown for too long.</summary>
    public void WaitUntil(Func<bool> done, Func<long> count)
    {
        Patience left = NewPatience();
        while (!done() && !Stopped && !left.IsOver(count())) Nap();
    }
}
