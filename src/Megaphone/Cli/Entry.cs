using System.Collections;
using Megaphone.Bench;
using Megaphone.Configuration;
using Megaphone.Hosting;
using Megaphone.Preflight;
using Megaphone.Values;

namespace Megaphone.Cli;

/// <summary>From the arguments to the exit status.</summary>
internal static class Entry
{
    /// <summary>Does what the arguments ask for.</summary>
    /// <returns>The process's exit status.</returns>
    public static async Task<int> RunAsync(string[] arguments)
    {
        AppDomain.CurrentDomain.UnhandledException += (_, happened) =>
        {
            Say(Describe((Exception)happened.ExceptionObject));
            Environment.Exit(ExitStatus.Failed);
        };

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
            _ => await ServeAsync(settings, environment),
        };
    }

    private static async Task<int> ServeAsync(Settings settings, IDictionary environment)
    {
        try
        {
            await ServiceHost.RunAsync(settings, environment);
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

    private static int Health(Settings settings)
    {
        if (HealthProbe.Ask(settings.Admin) is not { } problem) return ExitStatus.Ok;
        Say(problem);
        return ExitStatus.Failed;
    }

    private static async Task<int> CheckAsync(Settings settings)
    {
        IReadOnlyList<Finding> findings = MachineCheck.Run(settings, await MachineFactsReader.ReadAsync(settings));
        Console.Out.Write(CheckReport.Write(settings.File, findings));
        return findings.Any(finding => finding.Verdict == Verdict.Fail) ? ExitStatus.Failed : ExitStatus.Ok;
    }

    /// <summary>The error and where it came from, in one line.</summary>
    private static string Describe(Exception error)
    {
        string? origin = error.StackTrace?.Split('\n')[0].Trim();
        return $"unexpected {error.GetType().Name}: {error.Message} {origin}".ReplaceLineEndings(" ").TrimEnd();
    }

    private static void Say(string line) => Console.Error.WriteLine($"megaphone: {line}");
}
