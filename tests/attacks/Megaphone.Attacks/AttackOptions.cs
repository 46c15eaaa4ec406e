using System.Globalization;

namespace Megaphone.Attacks;

/// <summary>The options of the command line.</summary>
/// <param name="Length">The duration of each attack, and of the baseline before it.</param>
/// <param name="Names">The attacks to play.</param>
/// <param name="Json">The file that the results are written to as well; null: none.</param>
/// <param name="Front">What clients connect to.</param>
internal sealed record AttackOptions(TimeSpan Length, IReadOnlyList<string> Names, string? Json, Front Front)
{
    /// <summary>Reads the command line.</summary>
    /// <exception cref="ArgumentException">An argument is invalid; the message says why.</exception>
    public static AttackOptions Parse(IReadOnlyList<string> arguments)
    {
        double seconds = 5;
        string? json = null;
        Front front = Front.Ecm;
        List<string> names = [];
        for (int i = 0; i < arguments.Count; i++)
        {
            if (arguments[i] == "--json" && i + 1 < arguments.Count) json = arguments[++i];
            else if (arguments[i] == "--seconds" && i + 1 < arguments.Count) seconds = Seconds(arguments[++i]);
            else if (arguments[i] == "--peer" && i + 1 < arguments.Count) front = Peer(arguments[++i]);
            else if (AttackList.Names.Contains(arguments[i])) names.Add(arguments[i]);
            else throw new ArgumentException(
                $"\"{arguments[i]}\" is neither --seconds N, nor --json FILE, nor --peer NAME, nor one of {string.Join(", ", AttackList.Names)}");
        }

        if (names.Count == 0) names = [.. AttackList.Names.Where(IsPossible)];
        if (names.Find(name => !IsPossible(name)) is { } impossible)
            throw new ArgumentException($"{impossible} is an attack on what only Megaphone has, which --peer leaves out");
        return new AttackOptions(TimeSpan.FromSeconds(seconds), names, json, front);

        bool IsPossible(string name) => front == Front.Ecm || AttackList.Make(name).Scene.HasPeers;
    }

    private static Front Peer(string text) => text switch
    {
        "haproxy" => Front.HaProxy,
        "ejabberd" => Front.Ejabberd,
        _ => throw new ArgumentException($"--peer {text}: haproxy and ejabberd are possible"),
    };

    private static double Seconds(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) && seconds is >= 1 and <= 60
            ? seconds
            : throw new ArgumentException($"--seconds {text}: 1 to 60 are possible");
}
