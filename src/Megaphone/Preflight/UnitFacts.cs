using System.Globalization;

namespace Megaphone.Preflight;

/// <summary>What systemd gives the service, whatever the shell has in which <c>check</c> runs: the unit and its drop-ins, systemd.unit(5).</summary>
/// <param name="Path">The unit's file.</param>
/// <param name="Configuration">The configuration file that it starts the service with; null: it names none.</param>
/// <param name="OpenFiles">The hard limit of open files; null: the unit sets none.</param>
/// <param name="MayListenBelow1024">Whether the service may listen on the ports that are reserved for root.</param>
internal sealed record UnitFacts(string Path, string? Configuration, long? OpenFiles, bool MayListenBelow1024)
{
    private const string Unit = "megaphone.service";

    /// <summary>The folders below /run that are made for the service.</summary>
    public IReadOnlyList<string> RuntimeFolders { get; init; } = [];

    /// <summary>Where units are looked for: what stands in a folder hides what stands in later ones.</summary>
    private static readonly string[] Folders =
    [
        "etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system",
    ];

    /// <summary>Reads the unit, if there is one that can be read.</summary>
    /// <param name="root">The machine's root folder.</param>
    public static UnitFacts? Read(string root)
    {
        try
        {
            string? unit = Folders.Select(folder => System.IO.Path.Combine(root, folder, Unit)).FirstOrDefault(File.Exists);
            if (unit is null) return null;
            IEnumerable<string> dropIns = Folders.Select(folder => System.IO.Path.Combine(root, folder, $"{Unit}.d")).Where(Directory.Exists)
                .SelectMany(folder => Directory.GetFiles(folder, "*.conf"))
                .DistinctBy(System.IO.Path.GetFileName).OrderBy(System.IO.Path.GetFileName, StringComparer.Ordinal);
            return Parse(unit, [unit, .. dropIns]);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static UnitFacts Parse(string unit, IEnumerable<string> files)
    {
        UnitFacts facts = new(unit, Configuration: null, OpenFiles: null, MayListenBelow1024: false);
        foreach (string line in files.SelectMany(File.ReadLines))
        {
            string[] parts = line.Split('=', 2, StringSplitOptions.TrimEntries);
            if (parts.Length < 2) continue;
            string value = parts[1];
            facts = parts[0] switch
            {
                "ExecStart" => facts with { Configuration = ConfigurationIn(value) },
                "RuntimeDirectory" => facts with
                {
                    RuntimeFolders = [.. value.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(folder => $"/run/{folder}")],
                },
                "LimitNOFILE" => facts with { OpenFiles = HardLimit(value) },

                // A list, to which each line adds, and which an empty one clears.
                "AmbientCapabilities" => facts with
                {
                    MayListenBelow1024 = value.Length > 0 && (facts.MayListenBelow1024 || value.Split(' ').Contains("CAP_NET_BIND_SERVICE")),
                },
                _ => facts,
            };
        }

        return facts;
    }

    private static string? ConfigurationIn(string command)
    {
        string[] words = command.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        int option = Array.IndexOf(words, "--config");
        return option >= 0 && option + 1 < words.Length ? words[option + 1] : null;
    }

    /// <summary><c>N</c>, <c>SOFT:HARD</c> or <c>infinity</c>.</summary>
    private static long? HardLimit(string value)
    {
        string hard = value[(value.IndexOf(':') + 1)..];
        if (hard == "infinity") return long.MaxValue;
        return long.TryParse(hard, NumberStyles.None, CultureInfo.InvariantCulture, out long limit) ? limit : null;
    }
}
