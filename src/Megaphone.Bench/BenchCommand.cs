using Megaphone.Links;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench MODE …</c>: from the arguments to the exit status.</summary>
internal static class BenchCommand
{
    private const int AllWentWell = 0;
    private const int SomethingWentWrong = 1;
    private const int WronglyUsed = 2;
    private const string StandardOutput = "-";

    /// <summary>Stands before the mode where this process is one of several of a split run; see <see cref="PartSide"/>.</summary>
    public const string PartWord = "part";

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

        bool isPart = arguments[0] == PartWord && arguments.Length > 1;
        if (isPart) arguments = arguments[1..];
        List<Problem> problems = [];
        if (BenchMode.Find(arguments[0]) is not { } mode)
        {
            string modes = string.Join(", ", BenchMode.All.Select(mode => mode.Name));
            problems.Add(new Problem("mode", arguments[0], $"is none of {modes}", "see megaphone bench --help"));
            return Refuse(problems);
        }

        if (arguments.ContainsAny("--help", "-h"))
        {
            Console.Out.Write(BenchHelp.Write(mode));
            return AllWentWell;
        }

        (RunOptions options, Func<RunContext, IBench> make) = mode.Read(new OptionValues(mode, arguments[1..], problems));
        return problems.Count > 0 ? Refuse(problems) : Run(options, make, isPart);
    }

    private static int Run(RunOptions options, Func<RunContext, IBench> make, bool isPart)
    {
        InlineCompletions.SwitchOn();
        try
        {
            using Interruption interruption = new();
            using IBench bench = make(new RunContext(interruption, isPart ? new PartSide() : null));
            bool well = bench.Run();
            if (isPart)
            {
                PartSide.TellReport(bench.Report, well);
                return well ? AllWentWell : SomethingWentWrong;
            }

            if (options.Json != StandardOutput) bench.Report.WriteTable(Console.Out);
            if (options.Json is { } file) WriteJson(bench.Report, file);
            if (options.Svg is { } picture) File.WriteAllText(picture, bench.Report.ToSvg());
            return well ? AllWentWell : SomethingWentWrong;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"megaphone bench: {failure.Message}");
            return SomethingWentWrong;
        }
    }

    private static void WriteJson(BenchReport report, string file)
    {
        using Stream to = file == StandardOutput ? Console.OpenStandardOutput() : File.Create(file);
        report.WriteJson(to);
        to.WriteByte((byte)'\n');
    }

    private static int Refuse(List<Problem> problems)
    {
        problems.ForEach(problem => Console.Error.WriteLine($"megaphone bench: {problem}"));
        return WronglyUsed;
    }
}
