using Megaphone.Service;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench MODE …</c>: from the arguments to the exit status.</summary>
internal static class BenchCommand
{
    private const int AllWentWell = 0;
    private const int SomethingWentWrong = 1;
    private const int WronglyUsed = 2;
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";
    private const string StandardOutput = "-";

    /// <summary>Does what the arguments ask for.</summary>
    /// <param name="arguments">What stands behind <c>bench</c>.</param>
    /// <returns>The process's exit status.</returns>
    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.IsEmpty || arguments[0] is "--help" or "-h" or "help")
        {
            Console.Out.Write(BenchHelp.Write());
            return arguments.IsEmpty ? WronglyUsed : AllWentWell;
        }

        List<Problem> problems = [];
        string mode = arguments[0];
        if (!BenchHelp.Modes.ContainsKey(mode))
        {
            problems.Add(new Problem("mode", mode, $"is none of {string.Join(", ", BenchHelp.Modes.Keys)}", "see megaphone bench --help"));
            return Refuse(problems);
        }

        if (arguments.ContainsAny("--help", "-h"))
        {
            Console.Out.Write(BenchHelp.WriteMode(mode));
            return AllWentWell;
        }

        // As for the service: what links receive is handled where it is received. Read when the first socket is made.
        if (Environment.GetEnvironmentVariable(InlineCompletions) is null) Environment.SetEnvironmentVariable(InlineCompletions, "1");
        LinkBenchOptions options = LinkBenchOptions.Read(arguments[1..], problems);
        return problems.Count > 0 ? Refuse(problems) : Play(options);
    }

    private static int Play(LinkBenchOptions options)
    {
        try
        {
            using Interruption interruption = new();
            using LinkBench bench = new(options, interruption);
            (BenchReport report, bool well) = bench.Run();
            if (options.Json != StandardOutput) report.WriteTable(Console.Out);
            if (options.Json is { } file)
            {
                using Stream to = file == StandardOutput ? Console.OpenStandardOutput() : File.Create(file);
                report.WriteJson(to);
                to.WriteByte((byte)'\n');
            }

            return well ? AllWentWell : SomethingWentWrong;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"megaphone bench: {failure.Message}");
            return SomethingWentWrong;
        }
    }

    private static int Refuse(List<Problem> problems)
    {
        problems.ForEach(problem => Console.Error.WriteLine($"megaphone bench: {problem}"));
        return WronglyUsed;
    }
}
