namespace Megaphone.Attacks;

/// <summary>What became of an attacker.</summary>
/// <param name="Moves">Records, connections, packets: what the attack consists of, as often as it was done.</param>
/// <param name="Word">What became of it, in a few words.</param>
/// <param name="Success">In which way the attack has succeeded, apart from what honest clients felt of it; null: in none.</param>
/// <param name="Harmed">Those that were harmed besides the clients that ping: health checks without an answer, links that did not come back.</param>
internal sealed record Outcome(long Moves, string Word, string? Success = null, int Harmed = 0);
