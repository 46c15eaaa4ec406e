using System.Globalization;
using System.Text.Json;

namespace Megaphone.Attacks;

/// <summary>The report on attacks: a table for people, and a file for programs.</summary>
internal static class AttackReport
{
    private const int NameWidth = 23;
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>The two lines above the rows.</summary>
    public static string Head(Timing timing, Front front) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Name(front)}: {timing.Clients} honest clients, half plain and half TLS; {timing.Length.TotalSeconds:0.#} s without each attack, "
        + $"""
        and as long with it (2 s, where that shows as much, {timing.Slow.Length.TotalSeconds:0.#} with logins)
        waits in ms, memory (RssAnon) in MiB, log in KiB

        {"",-NameWidth}  {"without",13}  {"with the attack",15}
        {"attack",-NameWidth}  {"p99",6} {"max",6}  {"p99",7} {"max",7}  {"harmed",6}  {"memory",13}  {"log",7}  outcome for the attacker
        """);

    private static string Name(Front front) => front switch
    {
        Front.HaProxy => "HAProxy and ejabberd",
        Front.Ejabberd => "ejabberd",
        _ => "Megaphone and ejabberd",
    };

    /// <summary>The row of an attack, and below it the bounds that were exceeded.</summary>
    public static string Row(AttackResult result) => string.Join('\n',
    [
        string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Attack.Name,-NameWidth}  {result.Before.P99,6:F1} {result.Before.Longest,6:F1}  "
            + $"{result.During.P99,7:F1} {result.During.Longest,7:F1}  {result.HarmedCount,6}  "
            + $"{$"{MiB(result.MemoryBefore):F1} → {MiB(result.MemoryPeak):F1}",13}  {result.LogBytes / 1024.0,7:F1}  {result.Outcome.Summary}"),
        .. result.Broken(MaxLongest(result)).Select(broken => $"    NOT KEPT: {broken}"),
        .. result.Harmed.Take(3).Select(harm => $"    harmed: {harm}"),
    ]);

    /// <summary>The bound of the longest wait in milliseconds, on a machine that does nothing else.</summary>
    public static double MaxLongest(AttackResult result) => result.Before.Longest + AttackResult.MaxLonger;

    /// <summary>Writes the results to a file, as an array of objects.</summary>
    public static void Write(string file, IEnumerable<AttackResult> results) =>
        File.WriteAllText(file, JsonSerializer.Serialize(results.Select(Json), Indented) + "\n");

    private static object Json(AttackResult result) => new
    {
        attack = result.Attack.Name,
        summary = result.Attack.Summary,
        p99_without_ms = Math.Round(result.Before.P99, 2),
        longest_without_ms = Math.Round(result.Before.Longest, 2),
        p99_ms = Math.Round(result.During.P99, 2),
        longest_ms = Math.Round(result.During.Longest, 2),
        harmed = result.HarmedCount,
        memory_before_bytes = result.MemoryBefore,
        memory_peak_bytes = result.MemoryPeak,
        log_bytes = result.LogBytes,
        moves = result.Outcome.Actions,
        outcome = result.Outcome.Summary,
        logins_p99_ms = result.Outcome.Logins is { } logins ? Math.Round(logins.Waits.P99, 1) : (double?)null,
        logins_longest_ms = result.Outcome.Logins is { } all ? Math.Round(all.Waits.Longest, 1) : (double?)null,
        logins_given_up = result.Outcome.Logins?.GivenUp,
        not_kept = result.Broken(MaxLongest(result)),
    };

    private static double MiB(long bytes) => bytes / 1048576.0;
}
