namespace Megaphone.Attacks;

/// <summary>What was measured while an attack was played.</summary>
/// <param name="Attack">Its name.</param>
/// <param name="Before">How long honest clients' answers took without it, in the same run.</param>
/// <param name="During">The same while it was played.</param>
/// <param name="Harmed">Those that were harmed, and how; <see cref="Outcome.Harmed"/> comes on top.</param>
/// <param name="MemoryBefore">Bytes of anonymous memory that the attacked process had resident before.</param>
/// <param name="MemoryPeak">The same at its peak.</param>
/// <param name="LogBytes">Bytes that were written to logs.</param>
/// <param name="Outcome">What became of the attacker.</param>
internal sealed record AttackResult(
    IAttack Attack, Waits Before, Waits During, IReadOnlyCollection<string> Harmed, long MemoryBefore, long MemoryPeak, long LogBytes, Outcome Outcome)
{
    /// <summary>Bytes of log that an attack may cause.</summary>
    public const long MaxLogBytes = 64 << 10;

    /// <summary>Milliseconds that somebody may wait longer for it.</summary>
    public const double MaxLonger = 50;

    /// <summary>Clients, health checks and links that were harmed.</summary>
    public int HarmedCount => Harmed.Count + Outcome.Harmed;

    /// <summary>The bounds that were not kept.</summary>
    /// <param name="maxLongest">Milliseconds that the longest wait may take.</param>
    public IEnumerable<string> Broken(double maxLongest)
    {
        if (HarmedCount > 0) yield return $"{HarmedCount} harmed";
        if (During.Longest > maxLongest) yield return $"longest wait {During.Longest:F0} ms, not {maxLongest:F0}";
        if (LogBytes > MaxLogBytes) yield return $"{LogBytes} bytes of log, not {MaxLogBytes}";
        if (Outcome.Success is { } success) yield return success;
        if (Outcome.Moves < Attack.LeastMoves) yield return $"not really played: {Outcome.Moves} moves, not {Attack.LeastMoves}";
    }
}
