namespace Megaphone.Metrics;

/// <summary>Limits how often one kind of line is logged, so that nobody can fill the log by repeating what causes it.</summary>
/// <remarks>
/// The first few lines in an interval are logged; the others are counted, and at the end of the interval one line says how many
/// there were. An interval begins with the first line after the last one ended. Thread-safe; a line that is only counted costs a lock.
/// </remarks>
internal sealed class LogLimiter : IDisposable
{
    private readonly int _first;
    private readonly TimeSpan _interval;
    private readonly Action<long> _logSum;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private long _began;
    private int _logged;
    private long _more;
    private bool _disposed;

    /// <summary>Makes one with which nothing has been logged yet.</summary>
    /// <param name="first">How many lines are logged in an interval; 1 or more.</param>
    /// <param name="interval">How long an interval is.</param>
    /// <param name="logSum">Logs how many more lines there were. Called by a timer, or by <see cref="Dispose"/>.</param>
    /// <param name="time">The clock; null: the system's.</param>
    public LogLimiter(int first, TimeSpan interval, Action<long> logSum, TimeProvider? time = null)
    {
        _first = first;
        _interval = interval;
        _logSum = logSum;
        _time = time ?? TimeProvider.System;
        _timer = _time.CreateTimer(static limiter => ((LogLimiter)limiter!).EndInterval(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Counts one line.</summary>
    /// <returns>Whether it is to be logged.</returns>
    public bool TryPass()
    {
        lock (_lock)
        {
            long now = _time.GetTimestamp();
            TimeSpan elapsed = _time.GetElapsedTime(_began, now);
            if (_more == 0 && (_logged == 0 || elapsed >= _interval)) (_began, _logged, elapsed) = (now, 0, TimeSpan.Zero);
            if (_logged < _first)
            {
                _logged++;
                return true;
            }

            if (_more++ == 0 && !_disposed) _timer.Change(_interval - elapsed, Timeout.InfiniteTimeSpan);
            return false;
        }
    }

    /// <summary>Logs the sum of what has been counted so far, and stops the timer. May be called again for lines that came after it.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (!_disposed) _timer.Dispose();
            _disposed = true;
        }

        EndInterval();
    }

    private void EndInterval()
    {
        long more;
        lock (_lock)
        {
            (more, _more, _logged) = (_more, 0, 0);
        }

        if (more > 0) _logSum(more);
    }
}
