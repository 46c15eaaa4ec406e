using System.Globalization;

namespace Megaphone.Attacks;

/// <summary>
/// Links whose names, in hello, contain line breaks, terminal codes and bytes that are no UTF-8, to write lines of their own into the log.
/// </summary>
/// <param name="module">Whether they go to the module rather than to a hub.</param>
internal sealed class ForgedLog(bool module) : IAttack
{
    private const string Mark = "FORGED";
    private const int Links = 25;

    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LogSettles = TimeSpan.FromSeconds(0.5);

    private static readonly byte[][] Names =
    [
        [.. "\"harmless\\nFORGED 2026-01-01 00:00:00 [critical] all is lost\""u8],
        [.. "\"harmless\\r\\nFORGED\\u001b[2J\\u001b[1;31m\\u0007\\u0000\\u0085\\u009b31m\\u2028FORGED\\u2029FORGED\""u8],
        [.. "\"harmless\nFORGED\n\u001b[2J"u8, 0xff, 0xfe, 0xc0, 0x80, .. "\""u8],
        [.. "\"harmless\\nFORGED\\ud800 \\u202eFORGED\""u8],
    ];

    /// <inheritdoc/>
    public string Name => module ? "forged-log-module" : "forged-log";

    /// <inheritdoc/>
    public string Summary => "links whose names have line breaks and terminal codes";

    /// <inheritdoc/>
    public Scene Scene => new() { Server = module ? Server.Module : Server.Hub, AttacksServer = true, EjabberdLogs = "info" };

    /// <inheritdoc/>
    public int MinActions => Links;

    /// <inheritdoc/>
    public bool IsBrief => true;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        int known = target.ServerLog().Count, said = 0;
        await AttackThread.RunAsync(() =>
        {
            // No more than are needed: each legitimately has a line in the log.
            while (said < Links && !end.WaitHandle.WaitOne(Rest))
            {
                using AttackSocket? link = AttackSocket.Connect(target.Links, Attackers.Address, end);
                if (link is null) continue;
                link.Send(Attackers.Hello(Names[said % Names.Length], null), reads: false, end);
                link.Receive(answer => answer.Length > 0, TimeSpan.FromSeconds(1), end);
                said++;
            }
        });
        await end.UntilAsync();
        await Task.Delay(LogSettles, CancellationToken.None);
        List<string> lines = target.ServerLog(Math.Max(0, known - 1));
        int forged = lines.Count(line => line.StartsWith(Mark, StringComparison.Ordinal)), coded = lines.Count(HasCodes);
        return new Outcome(
            said, string.Create(CultureInfo.InvariantCulture, $"{forged} forged lines, {coded} with control characters, of {lines.Count}"),
            forged + coded > 0 ? "the log was forged" : null);
    }

    /// <summary>Control characters of ASCII, and those of Latin-1 and line separators, as they are in UTF-8.</summary>
    private static bool HasCodes(string line) =>
        line.Any(c => c < ' ' && c != '\t') || line.Contains('\u007f') || line.Contains("\u00c2\u0085", StringComparison.Ordinal)
        || line.Contains("\u00c2\u009b", StringComparison.Ordinal) || line.Contains("\u00e2\u0080\u00a8", StringComparison.Ordinal);
}
