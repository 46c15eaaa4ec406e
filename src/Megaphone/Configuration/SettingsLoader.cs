using System.Collections;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Reads all sources of configuration, and has them checked.</summary>
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
    public static Settings Load(string? named, IDictionary environment, IReadOnlyDictionary<string, GivenValue> arguments, List<Problem> problems)
    {
        string? file = named ?? Array.Find(UsualFiles, File.Exists);
        Dictionary<string, GivenValue> inFile = file is null ? [] : SettingsFile.Read(file, problems);
        SettingsReader reader = new([inFile, EnvironmentSettings.Read(environment), arguments], problems);
        return SettingsBuilder.Build(reader) with { File = file };
    }
}
