using System.Globalization;

namespace Megaphone.Attacks;

/// <summary>The options of the command line.</summary>
/// <param name="Length">The duration of each attack, and of the baseline before it.</param>
/// <param name="Names">The attacks to play.</param>
/// <param name="Json">The file that the results are written to as well; null: none.</param>
internal sealed record AttackOptions(TimeSpan Length, IReadOnlyList<string> Names, string? Json)
{
    /// <summary>Reads the command line.</summary>
    /// <exception cref="ArgumentException">An argument is invalid; the message says why.</exception>
    public static AttackOptions Parse(IReadOnlyList<string> arguments)
    {
        double seconds = 5;
        string? json = null;
        List<string> names = [];
        for (int i = 0; i < arguments.Count; i++)
        {
            if (arguments[i] == "--json" && i + 1 < arguments.Count) json = arguments[++i];
            else if (arguments[i] == "--seconds" && i + 1 < arguments.Count) seconds = Seconds(arguments[++i]);
            else if (AttackList.Names.Contains(arguments[i])) names.Add(arguments[i]);
            else throw new ArgumentException(
                $"\"{arguments[i]}\" is neither --seconds N, nor --json FILE, nor one of {string.Join(", ", AttackList.Names)}");
        }

        return new AttackOptions(TimeSpan.FromSeconds(seconds), names.Count > 0 ? names : AttackList.Names, json);
    }

    private static double Seconds(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) && seconds is >= 1 and <= 60
            ? seconds
            : throw new ArgumentException($"--seconds {text}: 1 to 60 are possible");
}
