using System.Globalization;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>Links that guess the secret, over many connections at the same time.</summary>
/// <param name="module">Whether they go to the module rather than to a hub.</param>
internal sealed class SecretGuesses(bool module) : RepeatedLinks("secret-guesses", module, Threads)
{
    private const int Threads = 8;

    /// <summary>Guesses of one address that may be checked in a second.</summary>
    private const int MaxPerSecond = 20;

    /// <inheritdoc/>
    public override string Summary => $"links that say hello with wrong secrets, {Threads} at the same time";

    /// <inheritdoc/>
    public override int MinActions => 8;

    /// <inheritdoc/>
    protected override bool Use(AttackSocket link, int number, CancellationToken end)
    {
        string guess = string.Create(CultureInfo.InvariantCulture, $"guess {number}");
        link.Send(Attackers.Hello("\"guesses\""u8, guess), reads: false, end);
        string answer = Encoding.Latin1.GetString(link.Receive(null, TimeSpan.FromSeconds(10), end));

        // The other answer is that there were too many wrong secrets, which says nothing about this one.
        return answer.Contains("secret", StringComparison.Ordinal) && !answer.Contains("too many", StringComparison.Ordinal);
    }

    /// <inheritdoc/>
    protected override Outcome Judge(int links, int counted, Timing timing)
    {
        int most = (int)(MaxPerSecond * timing.Length.TotalSeconds);
        return new Outcome(links, $"{counted} of {links} guesses checked", counted > most ? $"{counted} guesses checked, not {most}" : null);
    }
}
