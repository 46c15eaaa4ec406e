namespace Megaphone.Attacks;

/// <summary>How long an attack is played, and how patient those are who watch it.</summary>
/// <param name="Length">Of the attack.</param>
/// <param name="Baseline">Of the time before it in which honest clients are alone.</param>
/// <param name="Clients">Honest clients.</param>
/// <param name="AnswerWithin">How long a health check, or a stream error, may take.</param>
internal sealed record Pace(TimeSpan Length, TimeSpan Baseline, int Clients, TimeSpan AnswerWithin)
{
    /// <summary>As the suite measures, on a machine that has nothing else to do.</summary>
    public static Pace Long(TimeSpan length) => new(length, length, 50, TimeSpan.FromSeconds(1));

    /// <summary>The same for an attack that need not last.</summary>
    public Pace Brief => this with { Length = Shorter(Length), Baseline = Shorter(Baseline) };

    /// <summary>For tests, on a machine that may be busy.</summary>
    public static Pace Short { get; } = new(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(0.5), 16, TimeSpan.FromSeconds(10));

    private static TimeSpan Shorter(TimeSpan time) => TimeSpan.FromSeconds(Math.Min(time.TotalSeconds, 2));
}
