using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Megaphone.Bench;
using Megaphone.Cli;
using Megaphone.Configuration;
using Megaphone.Metrics;
using Xunit;

namespace Megaphone.Tests.House;

/// <summary>Every metric, key, command and option that the documents name exists; and the manual names every one.</summary>
public sealed partial class NamesTests
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "../../.."));

    /// <summary>By name; but for those that tell what was once.</summary>
    private static readonly Dictionary<string, string> Documents = new[]
        {
            "README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/operating.md", "docs/architecture.md", "docs/protocol.md", "docs/benchmarks.md",
            "docs/attacks.md", "src/ejabberd_megaphone/README.md",
        }.ToDictionary(name => name, name => File.ReadAllText(Path.Combine(Root, name)));

    private static string Manual => Documents["docs/operating.md"];

    /// <summary>The metrics, as another test has them.</summary>
    private static string[] Metrics =>
    [
        .. File.ReadLines(
            Path.Combine(Root, "tests/Megaphone.Tests/Admin/PrometheusTextTests.All_metrics_are_exposed_from_the_start.verified.txt"))
            .Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(line => line.Split(' ')[2]),
    ];

    /// <summary>The commands, as the help has them.</summary>
    private static IEnumerable<string> Commands => CommandInHelp().Matches(HelpText.Write()).Select(match => match.Groups[1].Value);

    /// <summary>The commands that the module adds to ejabberdctl.</summary>
    private static IEnumerable<string> ModuleCommands => Directory.EnumerateFiles(Path.Combine(Root, "src/ejabberd_megaphone/src"), "*.erl")
        .SelectMany(file => ModuleCommand().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value);

    [Fact]
    public void Metrics_and_commands_of_the_module_that_are_named_exist()
    {
        HashSet<string> exist = [.. Metrics, .. ModuleCommands];
        AssertNone(Named(MetricOrModuleCommand()).Where(one => !exist.Contains(one.Name) && !exist.Contains(HistogramPart().Replace(one.Name, ""))));
    }

    [Fact]
    public void The_manual_names_every_metric()
    {
        HashSet<string> named = [.. MetricOrModuleCommand().Matches(Manual).Select(match => match.Value)];
        Assert.Contains("`process_*`", Manual);
        Assert.DoesNotContain(Metrics, name => !name.StartsWith("process_", StringComparison.Ordinal) && !named.Contains(name));
    }

    [Fact]
    public void The_manual_names_every_reason_and_every_limit()
    {
        IEnumerable<string> labels =
        [
            .. Enum.GetValues<CloseReason>().Select(Label.Of), .. Enum.GetValues<DropReason>().Select(Label.Of),
            .. Enum.GetValues<RefusalReason>().Select(Label.Of), .. Enum.GetValues<Limit>().Select(Label.Of),
        ];
        Assert.DoesNotContain(labels, label => !Manual.Contains($"`{label}`"));
    }

    [Fact]
    public void The_modules_documentation_names_every_command_of_the_module() =>
        Assert.DoesNotContain(ModuleCommands, name => !Documents["src/ejabberd_megaphone/README.md"].Contains(name));

    [Fact]
    public void Keys_that_are_named_exist()
    {
        // A section is named by what its keys have in common.
        HashSet<string> exist = [.. SettingKeys.All.SelectMany(key => Beginnings(Index().Replace(key.Path, ":N")))];
        AssertNone(Named(Key()).Where(one => !exist.Contains(Index().Replace(one.Name, ":N")) && one.Name != "Hub:MaxSession"));
    }

    [Fact]
    public void Parts_of_keys_that_are_named_exist()
    {
        string[] keys = [.. SettingKeys.All.Select(key => $":{Index().Replace(key.Path, ":N")}:")];
        AssertNone(Named(PartOfKey()).Where(one => !keys.Any(key => key.Contains($":{Index().Replace(one.Name, ":N")}:"))));
    }

    [Fact]
    public void Keys_in_samples_of_the_configuration_exist()
    {
        HashSet<string> exist = [.. SettingKeys.All.SelectMany(key => key.Path.Split(':'))];
        AssertNone(Named(KeyInSample()).Where(one => !exist.Contains(one.Name)));
    }

    [Fact]
    public void Variables_that_are_named_set_a_key()
    {
        HashSet<string> exist =
        [
            .. SettingKeys.All.SelectMany(key => Beginnings(key.Path)).Select(path => path.Replace(":", "__").ToUpperInvariant()),

            // What stands for any; what the manual shows as a mistake; what tests and installers take.
            "SECTION__KEY", "HUB__MAXSESSION", "BINARY",
        ];
        AssertNone(Named(Variable()).Where(one => !exist.Contains(one.Name)));
    }

    [Fact]
    public void The_help_names_every_operators_command() =>
        Assert.Subset(Commands.ToHashSet(), OperatorCommand.All.Select(command => command.Name).ToHashSet());

    [Fact]
    public void Options_of_the_load_generator_that_are_named_exist() => AssertNone(Documents.SelectMany(
        document => BenchLine().Matches(document.Value).SelectMany(
            line => BenchOptionName().Matches(line.Value)
                .Where(option => BenchOption.Find(BenchMode.Find(line.Groups[1].Value)?.Options ?? [], option.Groups[1].Value) is null)
                .Select(option => (document.Key, line.Value)))));

    [Fact]
    public void Commands_that_are_named_exist()
    {
        HashSet<string> exist = [.. Commands, "ready", "ecm", "hub"];
        AssertNone(Named(CommandCall()).Where(one => !exist.Contains(one.Name)));
        AssertNone(Named(BenchCall()).Where(one => BenchMode.Find(one.Name) is null && one.Name != "MODE"));
    }

    [Fact]
    public void The_manual_names_every_command()
    {
        Assert.DoesNotContain(Commands, name => name != "run" && !Manual.Contains($"megaphone {name}"));
        Assert.DoesNotContain(BenchMode.All, mode => !Manual.Contains($"\n| `{mode.Name}` |"));
    }

    private static IEnumerable<(string Document, string Name)> Named(Regex what) => Documents.SelectMany(
        document => what.Matches(document.Value).Select(match => (document.Key, match.Groups[1].Value)).Distinct());

    private static IEnumerable<string> Beginnings(string path)
    {
        for (int colon = path.Length; colon > 0; colon = path.LastIndexOf(':', colon - 1)) yield return path[..colon];
    }

    private static void AssertNone(IEnumerable<(string Document, string Name)> wrong)
    {
        string[] all = [.. wrong.Select(one => $"{one.Document}: {one.Name}")];
        Assert.True(all.Length == 0, $"These are named, and do not exist:\n{string.Join('\n', all)}");
    }

    private static string ThisFile([CallerFilePath] string file = "") => file;

    [GeneratedRegex("(?<![a-z_/])(megaphone_[a-z0-9_]*[a-z0-9])")]
    private static partial Regex MetricOrModuleCommand();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramPart();

    [GeneratedRegex("#ejabberd_commands\\{name = (megaphone_[a-z_]+)")]
    private static partial Regex ModuleCommand();

    [GeneratedRegex(@"\b((?:Ecm|Hub|Admin|Service|Logging)(?::[A-Za-z0-9]+)+)")]
    private static partial Regex Key();

    [GeneratedRegex(":([0-9]+|M)(?=:|$)")]
    private static partial Regex Index();

    [GeneratedRegex("`([A-Z][A-Za-z]+(?::[A-Za-z0-9]+)+)`")]
    private static partial Regex PartOfKey();

    [GeneratedRegex("\"([A-Z][A-Za-z0-9]+)\":")]
    private static partial Regex KeyInSample();

    [GeneratedRegex(@"\bMEGAPHONE_([A-Z_]*[A-Z])\b")]
    private static partial Regex Variable();

    [GeneratedRegex(@"(?m)^  megaphone \[?([a-z]+)")]
    private static partial Regex CommandInHelp();

    [GeneratedRegex("(?m)(?:`|bin/|^ +|^ *out/|until )megaphone ([a-z]+)")]
    private static partial Regex CommandCall();

    [GeneratedRegex(@"megaphone bench ([a-z][a-z-]*) (?:\\\n|[^\n`])*")]
    private static partial Regex BenchLine();

    [GeneratedRegex(@"(?<= )--([a-z][a-z-]*)")]
    private static partial Regex BenchOptionName();

    [GeneratedRegex("megaphone bench ([a-zA-Z][a-zA-Z-]*)")]
    private static partial Regex BenchCall();
}
