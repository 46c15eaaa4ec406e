namespace Megaphone.Attacks;

/// <summary>The outcome of an attack.</summary>
/// <param name="Actions">How many records, connections or packets the attack consisted of.</param>
/// <param name="Summary">The outcome in a few words.</param>
/// <param name="Success">How the attack has succeeded, apart from its effect on honest clients; null: it has not.</param>
/// <param name="Logins">The logins of honest clients meanwhile, where that is what it is about.</param>
/// <param name="Harmed">How many others than the pinging clients were harmed: health checks without an answer, links that did not come back.</param>
internal sealed record Outcome(long Actions, string Summary, string? Success = null, int Harmed = 0, HonestLogins? Logins = null);
