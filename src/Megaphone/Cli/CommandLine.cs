using Megaphone.Configuration;
using Megaphone.Values;

namespace Megaphone.Cli;

/// <summary>
/// The arguments, taken apart; what they mean for the settings is <see cref="SettingKeys"/>' business.
/// </summary>
/// <remarks>
/// <code>
/// megaphone [run | check | health | reload] [--config FILE] [--SECTION:KEY VALUE | --SECTION:KEY=VALUE …]
/// megaphone bench MODE …
/// megaphone --help | --version
/// </code>
/// </remarks>
internal sealed record CommandLine
{
    /// <summary>What to do.</summary>
    public required Command Command { get; init; }

    /// <summary>The configuration file that was named; null: look in the usual places.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>With <see cref="Command.Bench"/>, what stands behind it: another grammar.</summary>
    public IReadOnlyList<string> BenchArguments { get; init; } = [];

    /// <summary>The settings that were given; of a key given twice the last one.</summary>
    public required IReadOnlyDictionary<string, GivenValue> Settings { get; init; }

    /// <summary>Takes the arguments apart. Every problem is added to <paramref name="problems"/>.</summary>
    public static CommandLine Parse(ReadOnlySpan<string> arguments, List<Problem> problems)
    {
        Dictionary<string, GivenValue> settings = new(StringComparer.OrdinalIgnoreCase);
        Command command = Command.Run;
        string? configFile = null;
        int next = 0;

        if (arguments.Length > 0 && !arguments[0].StartsWith('-'))
        {
            command = ParseCommand(arguments[0], problems);
            next = 1;
        }

        if (command == Command.Bench)
            return new CommandLine { Command = command, Settings = settings, BenchArguments = [.. arguments[next..]] };

        foreach ((string? key, string? value) in Argument.Parse(arguments[next..]))
        {
            if (key is "help" || (key is null && value is "-h"))
                return new CommandLine { Command = Command.Help, Settings = settings };
            if (key is "version")
                return new CommandLine { Command = Command.Version, Settings = settings };

            if (key is null)
                problems.Add(new Problem("command line", value, "is neither an option nor the value of one", "for example --Ecm:MaxClients 20000"));
            else if (value is null || (key == "config" && value.Length == 0))
                problems.Add(new Problem($"--{key}", null, "has no value", $"for example {ExampleFor(key)}"));
            else if (key == "config")
                configFile = value;
            else
                settings[key] = new GivenValue(value, $"--{key}");
        }

        return new CommandLine { Command = command, ConfigFile = configFile, Settings = settings };
    }

    private static Command ParseCommand(string word, List<Problem> problems)
    {
        switch (word)
        {
            case "run": return Command.Run;
            case "check": return Command.Check;
            case "health": return Command.Health;
            case "reload": return Command.Reload;
            case "rehearse": return Command.Rehearse;
            case "bench": return Command.Bench;
            case "help": return Command.Help;
            case "version": return Command.Version;
            default:
                problems.Add(new Problem("command", word, "is none of run, check, health, reload and bench", "for example megaphone check"));
                return Command.Run;
        }
    }

    private static string ExampleFor(string key) => key == "config"
        ? "--config /etc/megaphone/megaphone.json"
        : $"--{key} VALUE, or --{key}=VALUE when the value begins with --";
}
