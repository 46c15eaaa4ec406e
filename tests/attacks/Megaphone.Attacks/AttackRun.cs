namespace Megaphone.Attacks;

/// <summary>Plays one attack, between processes that live for it alone.</summary>
internal static class AttackRun
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.5);

    /// <summary>What is logged of it may be written a moment later.</summary>
    private static readonly TimeSpan LogsSettle = TimeSpan.FromSeconds(0.5);

    // Handshakes of attackers that come back hold threads of the pool for some milliseconds each. Honest clients must not wait for one.
    static AttackRun() => ThreadPool.SetMinThreads(32, 32);

    /// <summary>Plays it, and measures. Nothing of it is left behind, whatever happens.</summary>
    /// <param name="attack">The attack.</param>
    /// <param name="wanted">How long it is played.</param>
    /// <param name="stop">Cuts it short.</param>
    /// <exception cref="OperationCanceledException">It was cut short.</exception>
    public static async Task<AttackResult> PlayAsync(IAttack attack, Pace wanted, CancellationToken stop = default)
    {
        Pace pace = attack.IsBrief ? wanted.Brief : wanted;
        await using Target target = await Target.StartAsync(attack.Scene);
        using HonestCrowd crowd = await HonestCrowd.ConnectAsync(target, pace.Clients);
        await attack.PrepareAsync(target, pace);
        await crowd.PingUntilAsync(Task.Delay(WarmUp, stop));
        Waits before = await crowd.PingUntilAsync(Task.Delay(pace.Baseline, stop));
        stop.ThrowIfCancellationRequested();

        long logBytes = target.LogBytes();
        await using MemoryWatch memory = new(target.AttackedProcess);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        end.CancelAfter(pace.Length);
        Task<Outcome> play = attack.PlayAsync(target, pace, end.Token);
        Task<Waits> pings = crowd.PingUntilAsync(play);
        Outcome outcome = await play;
        Waits during = await pings;
        await Task.Delay(LogsSettle, stop);
        return new AttackResult(attack, before, during, crowd.Harmed, memory.Before, memory.Peak, target.LogBytes() - logBytes, outcome);
    }
}
