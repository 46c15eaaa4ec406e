using Microsoft.Extensions.Logging;

namespace Megaphone.Hosting;

/// <summary>Every line that the service itself logs.</summary>
internal static partial class ServiceLog
{
    [LoggerMessage(
        1,
        LogLevel.Information,
        "megaphone {Version} starts, process {Process}, configuration file {File}, at most {OpenFiles} open files")]
    public static partial void Starting(ILogger log, string version, int process, string file, ulong openFiles);

    [LoggerMessage(2, LogLevel.Warning, "The limit of open files stays as it is: {Reason}")]
    public static partial void OpenFilesUnchanged(ILogger log, string reason);

    [LoggerMessage(3, LogLevel.Information, "{Signal}: stopping, within {Timeout}")]
    public static partial void Stopping(ILogger log, string signal, TimeSpan timeout);

    [LoggerMessage(4, LogLevel.Information, "Stopped after {Milliseconds} ms")]
    public static partial void Stopped(ILogger log, long milliseconds);

    [LoggerMessage(5, LogLevel.Warning, "Service:StopTimeout ran out before everything had been handed over")]
    public static partial void StopTimedOut(ILogger log);

    [LoggerMessage(6, LogLevel.Warning, "The service manager could not be told {State} at {Address}: {Reason}")]
    public static partial void NotifyFailed(ILogger log, string state, string address, string reason);

    [LoggerMessage(
        8,
        LogLevel.Information,
        "SIGHUP: certificates are looked at again; the configuration is not, whatever its file holds now: that takes a restart")]
    public static partial void HungUp(ILogger log);

    [LoggerMessage(9, LogLevel.Warning, "{Signal} does nothing yet; SIGTERM stops the service, SIGHUP has certificates looked at")]
    public static partial void SignalIgnored(ILogger log, string signal);

    [LoggerMessage(10, LogLevel.Information, "{Signal} came {Count} times more within {Seconds} s, which was not told")]
    public static partial void SignalsMore(ILogger log, string signal, long count, int seconds);
}
