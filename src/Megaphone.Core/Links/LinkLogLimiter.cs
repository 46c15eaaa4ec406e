using Megaphone.Metrics;
using Microsoft.Extensions.Logging;

namespace Megaphone.Links;

/// <summary>Limits the log lines about one listener's links. Thread-safe.</summary>
/// <remarks>
/// Anybody who can connect can cause such lines, in any number. So of each kind the first in an interval are logged, which is
/// more than a diagnosis needs, and the rest is summed up in one line.
/// </remarks>
internal sealed class LinkLogLimiter : IDisposable
{
    private const int MaxPerInterval = 20;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private readonly LinkLog _log;
    private readonly TimeProvider? _time;
    private readonly LogLimiter[] _limiters;

    /// <summary>Makes the limiter of one listener.</summary>
    /// <param name="log">The log.</param>
    /// <param name="time">The clock; null: the system's.</param>
    public LinkLogLimiter(LinkLog log, TimeProvider? time = null)
    {
        _log = log;
        _time = time;
        _limiters = [.. Enum.GetValues<LinkEvent>().Select(Limit)];
    }

    /// <summary>Counts an event.</summary>
    /// <returns>Whether it is to be logged in full.</returns>
    public bool TryPass(LinkEvent kind) => _limiters[(int)kind].TryPass();

    /// <summary>Logs how many were suppressed so far. May be called again.</summary>
    public void Dispose()
    {
        foreach (LogLimiter limiter in _limiters) limiter.Dispose();
    }

    private LogLimiter Limit(LinkEvent kind)
    {
        (LogLevel level, string what) = kind switch
        {
            LinkEvent.Up => (LogLevel.Information, "came up"),
            LinkEvent.Down => (LogLevel.Information, "went down"),
            LinkEvent.Cut => (LogLevel.Warning, "were cut"),
            LinkEvent.Resumed => (LogLevel.Information, "came back"),
            LinkEvent.Lost => (LogLevel.Warning, "were cut and did not come back"),
            LinkEvent.Draining => (LogLevel.Information, "were asked for no new sessions"),
            LinkEvent.NameShared => (LogLevel.Warning, "had the name of another process's"),
            LinkEvent.ProtocolError => (LogLevel.Warning, "were closed for a protocol error"),
            LinkEvent.HelloRefused => (LogLevel.Warning, "were closed because their hello was refused"),
            LinkEvent.TlsRefused => (LogLevel.Warning, "were closed for lack of TLS or of an accepted certificate"),
            LinkEvent.Unused => (LogLevel.Debug, "never came up"),
            LinkEvent.TooMany => (LogLevel.Warning, "were rejected because MaxLinks was reached"),
            LinkEvent.NotAccepted => (LogLevel.Warning, "could not be accepted"),
            _ => (LogLevel.Error, "ended because of an internal error"),
        };

        // Each of these lines says the same.
        int first = kind == LinkEvent.TooMany ? 1 : MaxPerInterval;
        return new LogLimiter(first, Interval, count => _log.More(level, count, what, (int)Interval.TotalSeconds), _time);
    }
}
