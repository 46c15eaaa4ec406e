namespace Megaphone.Bench;

/// <summary>What a run needs to know of the process that it runs in.</summary>
/// <param name="Interruption">Ends it early.</param>
/// <param name="Part">Its side of a run that is split over several processes; null: it is the whole run.</param>
internal sealed record RunContext(Interruption Interruption, PartSide? Part)
{
    /// <summary>Whether the run is to end early.</summary>
    public bool Stopped => Interruption.Happened || Part is { IsOrphan: true };
}
