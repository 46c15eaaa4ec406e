using System.Collections;
using Megaphone.Handover;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <summary>Reads all sources of configuration, and has them checked.</summary>
internal static class SettingsLoader
{
    private const string SocketName = "admin.sock";

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
        string? file = FileFor(named);
        Settings settings = SettingsBuilder.Build(Read(file, environment, arguments, problems)) with { File = file };
        return settings.Admin is { Socket: null } admin
            ? settings with { Admin = admin with { Socket = SocketOfUnit(environment) } }
            : settings;
    }

    /// <summary>The operator's socket of a service that is configured so. What is wrong with the configuration is no reason not to ask that service
    /// for anything.</summary>
    /// <inheritdoc cref="Load"/>
    public static string FindSocket(string? named, IDictionary environment, IReadOnlyDictionary<string, GivenValue> arguments) =>
        Read(FileFor(named), environment, arguments, []).Read(SettingKeys.AdminSocket)
        ?? SocketOfUnit(environment)
        ?? SettingKeys.AdminSocket.Example;

    private static SettingsReader Read(
        string? file, IDictionary environment, IReadOnlyDictionary<string, GivenValue> arguments, List<Problem> problems)
    {
        Dictionary<string, GivenValue> inFile = file is null ? [] : SettingsFile.Read(file, problems);
        return new SettingsReader([inFile, EnvironmentSettings.Read(environment), arguments], problems);
    }

    private static string? FileFor(string? named) => named ?? Array.Find(UsualFiles, RehearsedFiles.Exists);

    /// <summary>The socket in the first of the folders that systemd makes for a unit with <c>RuntimeDirectory=</c>; null: there is none.</summary>
    private static string? SocketOfUnit(IDictionary environment) =>
        environment["RUNTIME_DIRECTORY"] is string { Length: > 0 } folders ? Path.Combine(folders.Split(':')[0], SocketName) : null;
}
