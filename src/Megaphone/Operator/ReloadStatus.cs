namespace Megaphone.Operator;

/// <summary>The reloads of a process, through all of its images.</summary>
/// <param name="Done">How many have been done.</param>
/// <param name="Refused">How many would not have worked.</param>
/// <param name="Failed">How many had begun, and failed.</param>
/// <param name="HandoverSeconds">For how long nobody was served in the last that was done.</param>
/// <param name="Last">The last ones, the oldest first.</param>
internal sealed record ReloadStatus(long Done, long Refused, long Failed, double HandoverSeconds, IReadOnlyList<PastReload> Last);
