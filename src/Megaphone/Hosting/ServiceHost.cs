using System.Collections;
using Megaphone.Configuration;
using Megaphone.Links;
using Megaphone.Reactor;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace Megaphone.Hosting;

/// <summary>Runs the service in a generic host until a signal ends it.</summary>
internal static class ServiceHost
{
    /// <summary>Runs the service until it ends.</summary>
    /// <exception cref="StartFailedException">The service cannot start.</exception>
    public static async Task RunAsync(Settings settings, IDictionary environment, ProcessImage image)
    {
        SignalThread.BlockEverywhere();
        InlineCompletions.Enable();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(settings: null);
        LogLevels levels = new(settings.LogLevels);
        bool isJournal = Journal.IsAt(Journal.Output, environment["JOURNAL_STREAM"] as string);
        ConfigureLogging(builder.Logging, settings.LogFormat ?? (isJournal ? LogFormat.Systemd : LogFormat.Text));
        builder.Services.AddSingleton(levels);
        builder.Services.AddSingleton<IConfigureOptions<LoggerFilterOptions>>(levels);
        builder.Services.AddSingleton<IOptionsChangeTokenSource<LoggerFilterOptions>>(levels);
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = settings.StopTimeout);
        builder.Services.AddSingleton(settings);
        builder.Services.AddSingleton(services => new SystemdNotifier(
            SystemdNotifier.AddressIn(environment), services.GetRequiredService<ILogger<SystemdNotifier>>()));
        builder.Services.AddSingleton(image);
        builder.Services.AddSingleton<LastWords>();
        builder.Services.AddSingleton<SignalThread>();
        builder.Services.AddSingleton<IHostLifetime, SignalLifetime>();
        builder.Services.AddHostedService<MegaphoneService>();

        DescriptorReserve.Size = settings.ReservedDescriptors;
        using IHost host = builder.Build();
        LogStart(host.Services.GetRequiredService<ILoggerFactory>(), settings.File);
        await host.RunAsync();
    }

    private static void ConfigureLogging(ILoggingBuilder logging, LogFormat format)
    {
        switch (format)
        {
            case LogFormat.Json:
                logging.AddConsole(console => console.FormatterName = JsonLines.FormatterName);
                logging.Services.AddSingleton<ConsoleFormatter, JsonLines>();
                break;
            case LogFormat.Systemd:
                logging.AddSystemdConsole();
                break;
            default:
                logging.AddSimpleConsole(console =>
                {
                    console.SingleLine = true;
                    console.ColorBehavior = LoggerColorBehavior.Disabled;
                    console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
                    console.UseUtcTimestamp = true;
                });
                break;
        }
    }

    private static void LogStart(ILoggerFactory loggers, string? file)
    {
        ILogger log = loggers.CreateLogger<MegaphoneService>();
        try
        {
            ServiceLog.Starting(
                log,
                ProductVersion.Current,
                Environment.ProcessId,
                file ?? "none",
                OpenFileLimit.RaiseToHard());
        }
        catch (IOException error)
        {
            ServiceLog.OpenFilesUnchanged(log, error.Message);
        }
    }
}
