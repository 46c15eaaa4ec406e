namespace Megaphone.Attacks;

/// <summary>The measurements of one attack.</summary>
/// <param name="Attack">The attack.</param>
/// <param name="Before">How long honest clients waited for answers before it, in the same run.</param>
/// <param name="During">How long they waited while it was played.</param>
/// <param name="Harmed">The honest clients that were harmed, and how; <see cref="Outcome.Harmed"/> comes on top.</param>
/// <param name="MemoryBefore">Bytes of anonymous memory that the attacked process had resident before.</param>
/// <param name="MemoryPeak">The same at its peak.</param>
/// <param name="LogBytes">Bytes that were written to logs meanwhile.</param>
/// <param name="Outcome">The outcome for the attacker.</param>
/// <param name="EcmState">Whether the ECM still runs, and the last that it has said.</param>
internal sealed record AttackResult(
    IAttack Attack,
    Waits Before,
    Waits During,
    IReadOnlyCollection<string> Harmed,
    long MemoryBefore,
    long MemoryPeak,
    long LogBytes,
    Outcome Outcome,
    string EcmState)
{
    /// <summary>Bytes of log that an attack may cause.</summary>
    public const long MaxLogBytes = 64 << 10;

    /// <summary>By how many milliseconds it may prolong a wait.</summary>
    public const double MaxLonger = 50;

    /// <summary>Clients, health checks and links that were harmed.</summary>
    public int HarmedCount => Harmed.Count + Outcome.Harmed;

    /// <summary>The bounds that were exceeded, in words.</summary>
    /// <param name="maxLongest">The bound of the longest wait, in milliseconds.</param>
    public IEnumerable<string> Broken(double maxLongest)
    {
        if (HarmedCount > 0) yield return $"{HarmedCount} harmed";
        if (During.Longest > maxLongest) yield return $"longest wait {During.Longest:F0} ms, not {maxLongest:F0}";
        if (LogBytes > MaxLogBytes) yield return $"{LogBytes} bytes of log, not {MaxLogBytes}";
        long more = MemoryPeak - MemoryBefore;
        if (more > Attack.MaxMoreMemory) yield return $"{more} bytes of memory more, not {Attack.MaxMoreMemory}";
        if (Outcome.Success is { } success) yield return success;
        if (Outcome.Actions < Attack.MinActions) yield return $"not really played: {Outcome.Actions} actions, not {Attack.MinActions}";
    }
}
