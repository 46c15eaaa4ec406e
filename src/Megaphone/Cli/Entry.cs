using System.Collections;
using Megaphone.Bench;
using Megaphone.Configuration;
using Megaphone.Handover;
using Megaphone.Hosting;
using Megaphone.Preflight;
using Megaphone.Values;

namespace Megaphone.Cli;

/// <summary>From the arguments to the exit status.</summary>
internal static class Entry
{
    /// <summary>The methods that an unexpected error is told with: the runtime's own are often first.</summary>
    private const int MostFrames = 5;

    /// <summary>Does what the arguments ask for.</summary>
    /// <returns>The process's exit status.</returns>
    public static async Task<int> RunAsync(string[] arguments)
    {
        AppDomain.CurrentDomain.UnhandledException += (_, happened) =>
        {
            Say(Describe((Exception)happened.ExceptionObject));
            Environment.Exit(ExitStatus.Failed);
        };

        ProcessImage image = ProcessImage.Record();
        List<Problem> problems = [];
        CommandLine commandLine = CommandLine.Parse(arguments, problems);
        switch (commandLine.Command)
        {
            case Command.Help:
                Console.Out.Write(HelpText.Write());
                return ExitStatus.Ok;
            case Command.Version:
                Console.Out.WriteLine($"megaphone {ProductVersion.Current}");
                return ExitStatus.Ok;
            case Command.Bench:
                return BenchCommand.Run([.. commandLine.BenchArguments]);
        }

        IDictionary environment = Environment.GetEnvironmentVariables();
        if (commandLine.Command is Command.Reload or Command.Operator) return Ask(commandLine, environment, problems);
        if (commandLine.Command == Command.Rehearse) RehearsedFiles.Rehearse();
        if (image.Files >= 0) StateFile.Read(image.Files, RehearsedFiles.Restore);
        Settings settings = SettingsLoader.Load(commandLine.ConfigFile, environment, commandLine.Settings, problems);
        if (problems.Count > 0)
        {
            problems.ForEach(problem => Say(problem.ToString()));
            return ExitStatus.Usage;
        }

        // .NET looks for certificate stores in the user's home. A user whom no /etc/passwd knows has none, as in an image from scratch,
        // and links could not speak TLS. Stores that are not there are empty.
        if (environment["HOME"] is not string { Length: > 0 }) Environment.SetEnvironmentVariable("HOME", "/");

        return commandLine.Command switch
        {
            Command.Check => await CheckAsync(settings),
            Command.Health => Health(settings),
            Command.Rehearse => Rehearse(settings),
            _ => await ServeAsync(settings, environment, image),
        };
    }

    private static async Task<int> ServeAsync(Settings settings, IDictionary environment, ProcessImage image)
    {
        try
        {
            await ServiceHost.RunAsync(settings, environment, image);
            return ExitStatus.Ok;
        }
        catch (StartFailedException error)
        {
            Say(error.Message);
        }
        catch (Exception error)
        {
            // The last resort: whatever it was, the operator gets one line and a status.
            Say(Describe(error));
        }

        return ExitStatus.Failed;
    }

    /// <summary>Asks the running service.</summary>
    private static int Ask(CommandLine commandLine, IDictionary environment, List<Problem> problems)
    {
        foreach (string key in commandLine.Settings.Keys.Where(key => !key.Equals(SettingKeys.AdminSocket.Path, StringComparison.OrdinalIgnoreCase)))
            problems.Add(new Problem($"--{key}", null, "means nothing here", "the service has the settings with which it was started"));
        if (problems.Count > 0)
        {
            problems.ForEach(problem => Say(problem.ToString()));
            return ExitStatus.Usage;
        }

        string socket = SettingsLoader.FindSocket(commandLine.ConfigFile, environment, commandLine.Settings);
        if (commandLine.Operator is { } order)
        {
            int status = order.Run(socket, commandLine.Parameters, commandLine.AsJson, out string answer);
            if (status == ExitStatus.Ok) Console.Out.Write(answer);
            else Say(answer);
            return status;
        }

        bool isDone = ReloadCommand.TryRun(socket, out string message);
        if (isDone) Console.Out.WriteLine($"Reloaded: {message}");
        else Say($"not reloaded: {message}");
        return isDone ? ExitStatus.Ok : ExitStatus.Failed;
    }

    private static int Rehearse(Settings settings)
    {
        string? obstacle = Rehearsal.Run(settings);
        Console.Out.WriteLine(obstacle ?? Rehearsal.Ready);
        return obstacle is null ? ExitStatus.Ok : ExitStatus.Failed;
    }

    private static int Health(Settings settings)
    {
        if (HealthProbe.Ask(settings.Admin) is not { } problem) return ExitStatus.Ok;
        Say(problem);
        return ExitStatus.Failed;
    }

    private static async Task<int> CheckAsync(Settings settings)
    {
        IReadOnlyList<Finding> findings = await FullCheck.RunAsync(settings);
        Console.Out.Write(CheckReport.Write(settings.File, findings));
        return findings.Any(finding => finding.Verdict == Verdict.Fail) ? ExitStatus.Failed : ExitStatus.Ok;
    }

    /// <summary>The error and where it came from, in one line.</summary>
    private static string Describe(Exception error)
    {
        string origin = string.Join(", ", (error.StackTrace ?? "").Split('\n').Take(MostFrames).Select(frame => frame.Trim()));
        return $"unexpected {error.GetType().Name}: {error.Message} {origin}".ReplaceLineEndings(" ").TrimEnd();
    }

    private static void Say(string line)
    {
        bool isJournal = Journal.IsAt(Journal.Error, Environment.GetEnvironmentVariable("JOURNAL_STREAM"));
        Console.Error.WriteLine($"{(isJournal ? Journal.ErrorPriority : "")}megaphone: {line}");
    }
}
