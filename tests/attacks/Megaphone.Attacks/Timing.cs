namespace Megaphone.Attacks;

/// <summary>How long an attack is played, and how long its victims may be kept waiting.</summary>
/// <param name="Length">The attack's duration.</param>
/// <param name="Baseline">The duration of the baseline before it, without an attacker.</param>
/// <param name="Clients">The number of honest clients.</param>
/// <param name="AnswerWithin">How long a health check, or a stream error, may take.</param>
/// <param name="LoginsPerSecond">Logins that are played to come to nothing.</param>
/// <param name="SlowFactor">How many times as long an attack is played that takes its time.</param>
internal sealed record Timing(TimeSpan Length, TimeSpan Baseline, int Clients, TimeSpan AnswerWithin, int LoginsPerSecond, int SlowFactor = 1)
{
    private static readonly TimeSpan Briefest = TimeSpan.FromSeconds(2);

    /// <summary>For measurements, on a machine that does nothing else.</summary>
    public static Timing Long(TimeSpan length) => new(length, length, 200, TimeSpan.FromSeconds(1), 500, SlowFactor: 3) { BriefAtMost = Briefest };

    /// <summary>The same for an attack of which two seconds show as much as more.</summary>
    public Timing Brief => this with { Length = Shorter(Length), Baseline = Shorter(Baseline) };

    /// <summary>The longest that those are played, and the baseline before them.</summary>
    public TimeSpan BriefAtMost { get; private init; } = TimeSpan.MaxValue;

    /// <summary>The same for an attack that takes its time.</summary>
    public Timing Slow => this with { Length = Length * SlowFactor };

    /// <summary>For tests, on a machine that may be busy: with logins that leave some processor time to ejabberd.</summary>
    /// <param name="length">The busier it is, the longer.</param>
    public static Timing Short(TimeSpan length) => new(length, TimeSpan.FromSeconds(0.5), 16, TimeSpan.FromSeconds(10), 100);

    private TimeSpan Shorter(TimeSpan time) => time < BriefAtMost ? time : BriefAtMost;
}
