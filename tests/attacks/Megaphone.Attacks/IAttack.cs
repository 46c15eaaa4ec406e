namespace Megaphone.Attacks;

/// <summary>One attack. An object plays it once; <see cref="AttackList"/> makes them.</summary>
/// <remarks>It closes what it has opened, and ends by itself soon after it is told to.</remarks>
internal interface IAttack
{
    /// <summary>What it is called on the command line and in the table.</summary>
    string Name { get; }

    /// <summary>What it does, in a line.</summary>
    string Summary { get; }

    /// <summary>The processes that it is played against.</summary>
    Scene Scene { get; }

    /// <summary>At least so many of its moves must be made in two seconds, or it was not really played.</summary>
    int LeastMoves { get; }

    /// <summary>Whether two seconds of it show as much as more would.</summary>
    bool IsBrief => false;

    /// <summary>Makes everything that costs much processor time in advance: handshakes, records.</summary>
    Task PrepareAsync(Target target, Pace pace);

    /// <summary>Plays it.</summary>
    /// <param name="target">What it is played against.</param>
    /// <param name="pace">How long some things may take.</param>
    /// <param name="end">When it is to end.</param>
    Task<Outcome> PlayAsync(Target target, Pace pace, CancellationToken end);
}
