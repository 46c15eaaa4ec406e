using System.Collections;
using Megaphone.Values;
using Microsoft.Extensions.Configuration;

namespace Megaphone.Configuration;

/// <summary>Lays the sources of configuration over each other and has them checked.</summary>
internal static class SettingsLoader
{
    /// <summary>Where the file is looked for when none is named; the first that exists is read.</summary>
    private static readonly string[] UsualFiles = ["megaphone.json", "/etc/megaphone/megaphone.json"];

    /// <summary>
    /// Reads the file, the environment and the command line, later ones over earlier ones. Whatever is wrong is added
    /// to <paramref name="problems"/>; the result only counts when there is nothing in it.
    /// </summary>
    /// <param name="named">The file that was named; null: the usual one.</param>
    /// <param name="environment">The process's environment.</param>
    /// <param name="arguments">What the command line says.</param>
    /// <param name="problems">Where problems are added.</param>
    public static Settings Load(string? named, IDictionary environment, IReadOnlyDictionary<string, string?> arguments, List<Problem> problems)
    {
        string? file = named ?? Array.Find(UsualFiles, File.Exists);
        IConfigurationRoot configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(file is null ? [] : JsonSettingsFile.Read(file, problems))
            .AddInMemoryCollection(EnvironmentSettings.Read(environment))
            .AddInMemoryCollection(arguments)
            .Build();
        return SettingsSchema.Read(configuration, problems) with { File = file };
    }
}
