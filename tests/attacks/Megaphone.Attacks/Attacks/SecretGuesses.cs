using System.Globalization;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>Links that guess the secret, over many connections at the same time.</summary>
/// <param name="module">Whether they go to the module rather than to a hub.</param>
internal sealed class SecretGuesses(bool module) : IAttack
{
    private const int Threads = 8;

    /// <summary>Guesses of one address that may be looked at in a second.</summary>
    private const int MaxPerSecond = 20;

    /// <inheritdoc/>
    public string Name => module ? "secret-guesses-module" : "secret-guesses";

    /// <inheritdoc/>
    public string Summary => $"links that say hello with wrong secrets, {Threads} at the same time";

    /// <inheritdoc/>
    public Scene Scene => new() { Module = module, AttacksServer = true, Secret = "a secret" };

    /// <inheritdoc/>
    public int LeastMoves => 8;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Pace pace) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Pace pace, CancellationToken end)
    {
        int said = 0, judged = 0;
        await AttackThread.RunAsync(Threads, thread =>
        {
            while (!end.IsCancellationRequested)
            {
                using AttackSocket? link = AttackSocket.Connect(target.Links, Attackers.Address, end);
                if (link is null) continue;
                string guess = string.Create(CultureInfo.InvariantCulture, $"guess {Interlocked.Increment(ref said)}");
                link.Send(Attackers.Hello("\"guesses\""u8, guess), reads: false, end);
                string answer = Encoding.Latin1.GetString(link.Receive(null, TimeSpan.FromSeconds(10), end));

                // The other answer is that there were too many wrong ones, which says nothing of this one.
                if (answer.Contains("secret", StringComparison.Ordinal) && !answer.Contains("too many", StringComparison.Ordinal))
                    Interlocked.Increment(ref judged);
            }
        });
        int most = (int)(MaxPerSecond * pace.Length.TotalSeconds);
        return new Outcome(said, $"{judged} of {said} guesses looked at", judged > most ? $"{judged} guesses looked at, not {most}" : null);
    }
}
