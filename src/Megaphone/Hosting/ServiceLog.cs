using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>The log lines of the service itself.</summary>
internal static partial class ServiceLog
{
    [LoggerMessage(
        1,
        LogLevel.Information,
        "megaphone {Version} starts, process {Process}, configuration file {File}, at most {OpenFiles} open files")]
    public static partial void Starting(ILogger log, string version, int process, string file, ulong openFiles);

    [LoggerMessage(2, LogLevel.Warning, "The limit of open files cannot be raised: {Reason}")]
    public static partial void OpenFilesUnchanged(ILogger log, string reason);

    [LoggerMessage(3, LogLevel.Information, "{Signal}: stopping, within {Timeout}")]
    public static partial void Stopping(ILogger log, string signal, string timeout);

    [LoggerMessage(4, LogLevel.Information, "Stopped after {Milliseconds} ms")]
    public static partial void Stopped(ILogger log, long milliseconds);

    [LoggerMessage(5, LogLevel.Warning, "Service:StopTimeout ended before everything queued was sent")]
    public static partial void StopTimedOut(ILogger log);

    [LoggerMessage(6, LogLevel.Warning, "{State} could not be sent to the service manager at {Address}: {Reason}")]
    public static partial void NotifyFailed(ILogger log, string state, string address, string reason);

    [LoggerMessage(8, LogLevel.Information, "{Cause}: reloading")]
    public static partial void Reloading(ILogger log, string cause);

    [LoggerMessage(12, LogLevel.Warning, "Not reloaded, all goes on as it was: {Reason}")]
    public static partial void ReloadRefused(ILogger log, string reason);

    [LoggerMessage(13, LogLevel.Error, "The reload has failed, all goes on as it was: {Reason}")]
    public static partial void ReloadFailed(ILogger log, string reason);

    [LoggerMessage(14, LogLevel.Information, "Reloaded: {What}")]
    public static partial void Reloaded(ILogger log, string what);

    [LoggerMessage(15, LogLevel.Error, "Left out until the next reload: {Problem}")]
    public static partial void LeftOut(ILogger log, string problem);

    [LoggerMessage(11, LogLevel.Information, "{Cause}: draining; the service is not ready, and stays up until it is stopped")]
    public static partial void Draining(ILogger log, string cause);

    [LoggerMessage(16, LogLevel.Information, "megaphone undrain: draining no more")]
    public static partial void Undrained(ILogger log);

    [LoggerMessage(17, LogLevel.Information, "megaphone kick: {What}, {Clients} client(s), ended")]
    public static partial void Kicked(ILogger log, string what, int clients);

    [LoggerMessage(18, LogLevel.Information, "megaphone loglevel: {Category} is logged from {Level} on")]
    public static partial void LevelSet(ILogger log, string category, LogLevel level);

    [LoggerMessage(9, LogLevel.Warning, "{Signal} is ignored; SIGTERM stops the service, SIGHUP reloads it, SIGUSR1 begins a drain")]
    public static partial void SignalIgnored(ILogger log, string signal);

    [LoggerMessage(10, LogLevel.Information, "{Signal} was received {Count} more times in the last {Seconds} s")]
    public static partial void SignalsMore(ILogger log, string signal, long count, int seconds);
}
