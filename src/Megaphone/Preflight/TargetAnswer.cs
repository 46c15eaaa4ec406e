using Megaphone.Configuration;

namespace Megaphone.Preflight;

/// <summary>What came of asking a target.</summary>
/// <param name="Target">The target.</param>
/// <param name="Unresolved">Why its name has no address; null: it has one, or needs none.</param>
/// <param name="Addresses">What came of asking each.</param>
internal sealed record TargetAnswer(Target Target, string? Unresolved, IReadOnlyList<AddressAnswer> Addresses);
