namespace Megaphone.Attacks;

/// <summary>Plays one attack against processes that are started for it alone.</summary>
internal static class AttackRun
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.5);

    /// <summary>Log lines may be written a moment later.</summary>
    private static readonly TimeSpan LogsSettle = TimeSpan.FromSeconds(0.5);

    // Handshakes of attackers that come back hold threads of the pool for some milliseconds each. Honest clients must not wait for one.
    static AttackRun() => ThreadPool.SetMinThreads(32, 32);

    /// <summary>Plays the attack, and measures. Leaves nothing behind, whatever happens.</summary>
    /// <param name="attack">The attack.</param>
    /// <param name="wanted">How long to play it.</param>
    /// <param name="front">What clients connect to.</param>
    /// <param name="stop">Ends it early.</param>
    /// <exception cref="OperationCanceledException">It was ended early.</exception>
    public static async Task<AttackResult> PlayAsync(
        IAttack attack, Timing wanted, Front front = Front.Ecm, CancellationToken stop = default)
    {
        Timing timing = attack.IsBrief ? wanted.Brief : attack.IsSlow ? wanted.Slow : wanted;
        await using Target target = await Target.StartAsync(attack.Scene, front);
        using HonestCrowd crowd = await HonestCrowd.ConnectAsync(target, timing.Clients);
        await attack.PrepareAsync(target, timing);
        await crowd.ChatUntilAsync(Task.Delay(WarmUp, stop));
        Waits before = await crowd.ChatUntilAsync(Task.Delay(timing.Baseline, stop));
        stop.ThrowIfCancellationRequested();

        long logBytes = target.LogBytes();
        await using MemoryWatch memory = new(target.AttackedProcess);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        end.CancelAfter(timing.Length);
        Task<Outcome> play = attack.PlayAsync(target, timing, end.Token);
        Task<Waits> chat = crowd.ChatUntilAsync(play);
        Outcome outcome = await play;
        Waits during = await chat;
        await Task.Delay(LogsSettle, stop);
        return new AttackResult(attack, before, during, crowd.Harmed, memory.Before, memory.Peak, target.LogBytes() - logBytes, outcome,
            target.State);
    }
}
