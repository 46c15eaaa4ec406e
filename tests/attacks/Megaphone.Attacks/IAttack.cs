namespace Megaphone.Attacks;

/// <summary>One attack. An object plays it once; <see cref="AttackList"/> makes them.</summary>
/// <remarks>It closes what it has opened, and ends by itself soon after it is told to.</remarks>
internal interface IAttack
{
    /// <summary>Its name on the command line and in the table.</summary>
    string Name { get; }

    /// <summary>What it does, in one line.</summary>
    string Summary { get; }

    /// <summary>The processes that are attacked.</summary>
    Scene Scene { get; }

    /// <summary>The least number of actions in two seconds with which it counts as played.</summary>
    int MinActions { get; }

    /// <summary>Whether two seconds of it show as much as more would.</summary>
    bool IsBrief => false;

    /// <summary>Whether it takes some seconds until it shows all of its effect.</summary>
    bool IsSlow => false;

    /// <summary>By how many bytes the attacked process's memory may grow; null: it grows with what the attackers may have of it.</summary>
    long? MaxMoreMemory => null;

    /// <summary>Prepares what takes much processor time: handshakes, records.</summary>
    Task PrepareAsync(Target target, Timing timing);

    /// <summary>Plays it.</summary>
    /// <param name="target">What it is played against.</param>
    /// <param name="timing">How long it is played, and how long answers may take.</param>
    /// <param name="end">When to end.</param>
    Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end);
}
