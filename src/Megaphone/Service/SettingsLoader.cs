using System.Collections;
using Microsoft.Extensions.Configuration;

namespace Megaphone.Service;

/// <summary>Lays the sources of configuration over each other and has them checked.</summary>
internal static class SettingsLoader
{
    /// <summary>Where the file is looked for when none is named; the first that exists is read.</summary>
    private static readonly string[] UsualFiles = ["megaphone.json", "/etc/megaphone/megaphone.json"];

    /// <summary>
    /// Reads the file, the environment and the command line, later ones over earlier ones. Whatever is wrong is added
    /// to <paramref name="problems"/>; the result only counts when there is nothing in it.
    /// </summary>
    public static Settings Load(CommandLine commandLine, IDictionary environment, List<Problem> problems)
    {
        string? file = commandLine.ConfigFile ?? Array.Find(UsualFiles, File.Exists);
        IConfigurationRoot configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(file is null ? [] : JsonSettingsFile.Read(file, problems))
            .AddInMemoryCollection(EnvironmentSettings.Read(environment))
            .AddInMemoryCollection(commandLine.Settings)
            .Build();
        return SettingsSchema.Read(configuration, problems) with { File = file };
    }
}
