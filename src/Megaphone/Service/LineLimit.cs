namespace Megaphone.Service;

/// <summary>Lets few lines of a kind into the log, however often there is a reason for one. Thread-safe.</summary>
/// <param name="most">Lines within the window.</param>
/// <param name="window">How long it is, in milliseconds; it begins with the first line.</param>
internal sealed class LineLimit(int most, long window)
{
    private readonly Lock _lock = new();
    private long _began = long.MinValue;
    private int _lines;
    private long _skipped;

    /// <summary>Whether a line may be written.</summary>
    /// <param name="now">The time in milliseconds, from any beginning.</param>
    /// <param name="skipped">How many were not since the last one that was.</param>
    public bool TryTake(long now, out long skipped)
    {
        lock (_lock)
        {
            skipped = _skipped;
            if (_lines == 0 || now - _began >= window) (_began, _lines) = (now, 0);
            if (_lines == most)
            {
                _skipped++;
                return false;
            }

            _lines++;
            _skipped = 0;
            return true;
        }
    }
}
