using Megaphone.Metrics;
using Microsoft.Extensions.Logging;

namespace Megaphone.Links;

/// <summary>Bounds what the links that one listener takes may write into the log. Thread-safe.</summary>
/// <remarks>
/// Whoever can connect can cause such lines, as often as it likes. So of each kind the first in an interval are logged in full, which is
/// more than a diagnosis needs, and the rest is summed up in one.
/// </remarks>
internal sealed class LinkLines : IDisposable
{
    private const int Usual = 20;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private readonly LinkLog _log;
    private readonly TimeProvider? _time;
    private readonly LogLimiter[] _limiters;

    /// <summary>Counts for a listener that writes to this log.</summary>
    /// <param name="log">The log.</param>
    /// <param name="time">The clock; null: the system's.</param>
    public LinkLines(LinkLog log, TimeProvider? time = null)
    {
        _log = log;
        _time = time;
        _limiters = [.. Enum.GetValues<LinkLine>().Select(Limit)];
    }

    /// <summary>Counts one line.</summary>
    /// <returns>Whether it is to be logged.</returns>
    public bool TryPass(LinkLine line) => _limiters[(int)line].TryPass();

    /// <summary>Sums up what has been counted so far. May be called again for what came after it.</summary>
    public void Dispose()
    {
        foreach (LogLimiter limiter in _limiters) limiter.Dispose();
    }

    private LogLimiter Limit(LinkLine line)
    {
        (LogLevel level, string what) = line switch
        {
            LinkLine.Up => (LogLevel.Information, "came up"),
            LinkLine.Down => (LogLevel.Information, "went down"),
            LinkLine.Draining => (LogLevel.Information, "were asked for no new sessions"),
            LinkLine.ProtocolError => (LogLevel.Warning, "were closed for a protocol error"),
            LinkLine.HelloRefused => (LogLevel.Warning, "were closed because their hello was refused"),
            LinkLine.TlsRefused => (LogLevel.Warning, "were closed for want of TLS or an accepted certificate"),
            LinkLine.Unused => (LogLevel.Debug, "never came up"),
            LinkLine.TooMany => (LogLevel.Warning, "were turned away because there are MaxLinks"),
            LinkLine.NotAccepted => (LogLevel.Warning, "could not be accepted"),
            _ => (LogLevel.Error, "met an error of our own"),
        };

        // That there are too many is the same news each time.
        int first = line == LinkLine.TooMany ? 1 : Usual;
        return new LogLimiter(first, Interval, count => _log.More(level, count, what, (int)Interval.TotalSeconds), _time);
    }
}
