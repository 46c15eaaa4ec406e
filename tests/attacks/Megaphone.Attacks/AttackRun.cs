namespace Megaphone.Attacks;

/// <summary>Plays one attack, between processes that live for it alone.</summary>
internal static class AttackRun
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.5);

    /// <summary>What is logged of it may be written a moment later.</summary>
    private static readonly TimeSpan LogsSettle = TimeSpan.FromSeconds(0.5);

    // Handshakes of attackers that come back hold threads of the pool for some milliseconds each. Honest clients must not wait for one.
    static AttackRun() => ThreadPool.SetMinThreads(32, 32);

    /// <summary>Plays it, and measures.</summary>
    public static async Task<AttackResult> PlayAsync(IAttack attack, Pace wanted)
    {
        Pace pace = attack.IsBrief ? wanted.Brief : wanted;
        await using Target target = await Target.StartAsync(attack.Scene);
        using HonestCrowd crowd = await HonestCrowd.ConnectAsync(target, pace.Clients);
        await attack.PrepareAsync(target, pace);
        await crowd.PingUntilAsync(Task.Delay(WarmUp));
        Waits before = await crowd.PingUntilAsync(Task.Delay(pace.Baseline));

        long logBytes = target.LogBytes();
        await using MemoryWatch memory = new(target.AttackedProcess);
        using CancellationTokenSource end = new(pace.Length);
        Task<Outcome> play = attack.PlayAsync(target, pace, end.Token);
        Task<Waits> pings = crowd.PingUntilAsync(play);
        Outcome outcome = await play;
        Waits during = await pings;
        await Task.Delay(LogsSettle);
        return new AttackResult(attack, before, during, crowd.Harmed, memory.Before, memory.Peak, target.LogBytes() - logBytes, outcome);
    }
}
