namespace Megaphone.Bench;

/// <summary>What a run needs to know about its process.</summary>
/// <param name="StopSignal">Ends the run early.</param>
/// <param name="Worker">The channel to the process that split the run; null: this process is the whole run.</param>
internal sealed record RunContext(StopSignal StopSignal, WorkerChannel? Worker)
{
    /// <summary>Whether the run is to end early.</summary>
    public bool IsStopped => StopSignal.IsReceived || Worker is { IsOrphan: true };
}
