namespace Megaphone.Bench;

/// <summary>What <c>megaphone bench --help</c> prints.</summary>
internal static class BenchHelp
{
    /// <summary>Lists the modes.</summary>
    public static string Write() => $"""
        megaphone {ProductVersion.Current} bench: a load generator for Megaphone and XMPP servers

        Usage:
          megaphone bench MODE --OPTION VALUE ...
          megaphone bench MODE --help

        Modes:
        {string.Join(Environment.NewLine, BenchMode.All.Select(mode => $"  {mode.Name,-13}{mode.Purpose}"))}

        Progress is written to standard error, a table of results to standard output.
        Exit status: 0 success, 1 failure, 2 usage error.

        """;

    /// <summary>Describes one mode with all its options.</summary>
    public static string Write(BenchMode mode) => $"""
        megaphone bench {mode.Name}: {mode.Purpose}

        Options:
        {string.Join(Environment.NewLine, mode.Options.Select(Line))}

        """;

    private static string Line(BenchOption option)
    {
        string condition = option.Required ? " (required)" : option.Default is null ? "" : $" (default {option.Default})";
        return $"  {$"--{option.Name} {option.Form}",-30}{option.Meaning}{condition}";
    }
}
