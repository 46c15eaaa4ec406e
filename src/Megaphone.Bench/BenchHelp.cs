namespace Megaphone.Bench;

/// <summary>What <c>megaphone bench --help</c> prints.</summary>
internal static class BenchHelp
{
    /// <summary>All modes.</summary>
    public static string Write() => $"""
        megaphone {ProductVersion.Current} bench: puts load on Megaphone, and on XMPP servers

        Usage:
          megaphone bench MODE --OPTION VALUE ...
          megaphone bench MODE --help

        Modes:
        {string.Join(Environment.NewLine, BenchMode.All.Select(mode => $"  {mode.Name,-13}{mode.Purpose}"))}

        How far it is goes to standard error, a table of results to standard output.
        Exit status: 0 all went well, 1 something went wrong, 2 usage error.

        """;

    /// <summary>One mode, with every option.</summary>
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
