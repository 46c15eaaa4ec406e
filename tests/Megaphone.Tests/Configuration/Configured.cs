using System.Collections;
using Megaphone.Cli;
using Megaphone.Configuration;
using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Configuration;

/// <summary>Settings made from given sources, and nothing of the machine's own.</summary>
internal static class Configured
{
    /// <summary>What the sources say, and the lines about what is wrong with them; <c>FILE</c> stands for the file's path.</summary>
    public static (Settings Settings, IReadOnlyList<string> Problems) Load(
        string json = "{}", (string Name, string Value)[]? environment = null, params string[] arguments)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, json);
            List<Problem> problems = [];
            CommandLine commandLine = CommandLine.Parse(["--config", file, .. arguments], problems);
            Hashtable variables = [];
            foreach ((string name, string value) in environment ?? []) variables[name] = value;

            Settings settings = SettingsLoader.Load(commandLine.ConfigFile, variables, commandLine.Settings, problems);
            return (settings, [.. problems.Select(problem => problem.ToString().Replace(file, "FILE", StringComparison.Ordinal))]);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>What the sources say, when nothing may be wrong with them.</summary>
    public static Settings Right(string json = "{}", (string Name, string Value)[]? environment = null, params string[] arguments)
    {
        (Settings settings, IReadOnlyList<string> problems) = Load(json, environment, arguments);
        Assert.Empty(problems);
        return settings;
    }
}
