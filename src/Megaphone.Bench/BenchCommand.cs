using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench MODE …</c>: from the arguments to the exit status.</summary>
internal static class BenchCommand
{
    /// <summary>Comes before the mode where this process is a worker of a split run; see <see cref="WorkerChannel"/>.</summary>
    public const string WorkerWord = "worker";

    /// <summary>Runs what the arguments ask for.</summary>
    /// <param name="arguments">The arguments after <c>bench</c>.</param>
    /// <returns>The process's exit status.</returns>
    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.IsEmpty || arguments[0] is "--help" or "-h" or "help")
        {
            Console.Out.Write(BenchHelp.Write());
            return arguments.IsEmpty ? ExitStatus.Usage : ExitStatus.Ok;
        }

        bool isWorker = arguments[0] == WorkerWord && arguments.Length > 1;
        if (isWorker) arguments = arguments[1..];
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
            return ExitStatus.Ok;
        }

        BenchMode.Act act = mode.Read(new OptionValues(mode, arguments[1..], problems));
        return problems.Count > 0 ? Refuse(problems) : Run(act, isWorker);
    }

    private static int Run(BenchMode.Act act, bool isWorker)
    {
        try
        {
            return act(isWorker ? new WorkerChannel() : null) ? ExitStatus.Ok : ExitStatus.Failed;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"megaphone bench: {failure.Message}");
            return ExitStatus.Failed;
        }
    }

    private static int Refuse(List<Problem> problems)
    {
        problems.ForEach(problem => Console.Error.WriteLine($"megaphone bench: {problem}"));
        return ExitStatus.Usage;
    }
}
