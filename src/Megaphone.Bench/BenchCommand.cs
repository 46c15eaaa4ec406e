using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench MODE …</c>: from the arguments to the exit status.</summary>
internal static class BenchCommand
{
    private const int AllWentWell = 0;
    private const int SomethingWentWrong = 1;
    private const int WronglyUsed = 2;

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

        BenchMode.Act act = mode.Read(new OptionValues(mode, arguments[1..], problems));
        return problems.Count > 0 ? Refuse(problems) : Run(act, isPart);
    }

    private static int Run(BenchMode.Act act, bool isPart)
    {
        try
        {
            return act(isPart ? new PartSide() : null) ? AllWentWell : SomethingWentWrong;
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
