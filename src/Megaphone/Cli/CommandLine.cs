using Megaphone.Configuration;
using Megaphone.Values;

namespace Megaphone.Cli;

/// <summary>
/// The arguments, taken apart; what they mean for the settings is <see cref="SettingKeys"/>' business.
/// </summary>
/// <remarks>
/// <code>
/// megaphone [run | check | health | reload] [--config FILE] [--SECTION:KEY VALUE | --SECTION:KEY=VALUE …]
/// megaphone status | clients | kick | drain | undrain | loglevel | config [WORD …] [--OPTION VALUE …] [--json] [--config FILE] …
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

    /// <summary>With <see cref="Command.Operator"/>, which one.</summary>
    public OperatorCommand? Operator { get; init; }

    /// <summary>Its parameters, by name.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether its answer is wanted as JSON.</summary>
    public bool AsJson { get; init; }

    /// <summary>The settings that were given; of a key given twice the last one.</summary>
    public required IReadOnlyDictionary<string, GivenValue> Settings { get; init; }

    /// <summary>Takes the arguments apart. Every problem is added to <paramref name="problems"/>.</summary>
    public static CommandLine Parse(ReadOnlySpan<string> arguments, List<Problem> problems)
    {
        Dictionary<string, GivenValue> settings = new(StringComparer.OrdinalIgnoreCase);
        Dictionary<string, string> parameters = [];
        OperatorCommand? order = null;
        Command command = Command.Run;
        string? configFile = null;
        int next = 0;

        if (arguments.Length > 0 && !arguments[0].StartsWith('-'))
        {
            order = OperatorCommand.Find(arguments[0]);
            command = order is null ? ParseCommand(arguments[0], problems) : Command.Operator;
            next = 1;
        }

        if (command == Command.Bench)
            return new CommandLine { Command = command, Settings = settings, BenchArguments = [.. arguments[next..]] };

        string[] rest = [.. arguments[next..]];
        bool asJson = order is not null && rest.Contains(OperatorCommand.Json);
        if (asJson) rest = [.. rest.Where(argument => argument != OperatorCommand.Json)];
        foreach ((string? key, string? value) in Argument.Parse(rest))
        {
            if (key is "help" || (key is null && value is "-h"))
                return new CommandLine { Command = Command.Help, Settings = settings };
            if (key is "version")
                return new CommandLine { Command = Command.Version, Settings = settings };

            if (order is not null && key is null && order.Words.FirstOrDefault(word => !parameters.ContainsKey(word)) is { } word)
                parameters[word] = value!;
            else if (order is not null && key is not null && value is not null && order.Options.Contains(key))
                parameters[key] = value;
            else if (order is not null && key is not null && key != "config" && !key.Contains(':') && !order.Options.Contains(key))
                problems.Add(new Problem($"--{key}", value, $"is no option of megaphone {order.Name}", "`megaphone --help` lists them"));
            else if (key is null)
                problems.Add(new Problem("command line", value, "is neither an option nor the value of one", "for example --Ecm:MaxClients 20000"));
            else if (value is null || (key == "config" && value.Length == 0))
                problems.Add(new Problem($"--{key}", null, "has no value", $"for example {ExampleFor(key)}"));
            else if (key == "config")
                configFile = value;
            else
                settings[key] = new GivenValue(value, $"--{key}");
        }

        return new CommandLine
        {
            Command = command,
            Operator = order,
            Parameters = parameters,
            AsJson = asJson,
            ConfigFile = configFile,
            Settings = settings,
        };
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
                string all = $"run, check, health, reload, {string.Join(", ", OperatorCommand.All.Select(command => command.Name))} and bench";
                problems.Add(new Problem("command", word, $"is none of {all}", "for example megaphone check"));
                return Command.Run;
        }
    }

    private static string ExampleFor(string key) => key == "config"
        ? "--config /etc/megaphone/megaphone.json"
        : $"--{key} VALUE, or --{key}=VALUE when the value begins with --";
}
