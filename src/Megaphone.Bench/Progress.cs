using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Bench;

/// <summary>
/// Tells how far a run has come: on standard error, in one line that is written anew, or, where that is no terminal, now and
/// then in a line of its own; and in a part of a split run, to the process that started it.
/// </summary>
internal sealed class Progress : IDisposable
{
    /// <summary>The end of what is told where what passes is time.</summary>
    public const string InSeconds = ", seconds";

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FileInterval = TimeSpan.FromSeconds(5);

    private readonly Func<(string What, long Done, long Total)> _describe;
    private readonly Func<long> _problems;
    private readonly PartSide? _part;
    private readonly bool _terminal = !Console.IsErrorRedirected;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private string _what = "";
    private long _began = Stopwatch.GetTimestamp();
    private long _written = Stopwatch.GetTimestamp();
    private bool _ended;

    /// <summary>Begins to tell.</summary>
    /// <param name="describe">What is being done, how much of it is done, and how much there is to do.</param>
    /// <param name="problems">How much has gone wrong.</param>
    /// <param name="part">Whom to tell; null: whoever watches.</param>
    public Progress(Func<(string What, long Done, long Total)> describe, Func<long> problems, PartSide? part = null)
    {
        _describe = describe;
        _problems = problems;
        _part = part;
        _timer = new Timer(_ => Tell(), null, Interval, Interval);
    }

    /// <summary>Tells how it ended.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_lock)
        {
            Write(last: true);
            if (_terminal && _part is null) Console.Error.WriteLine();
            _ended = true;
        }
    }

    /// <summary>The line.</summary>
    public static string Line(string what, long done, long total, double seconds, long problems)
    {
        double rate = seconds > 0 ? done / seconds : 0;
        string each = what.EndsWith(InSeconds, StringComparison.Ordinal)
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $", {rate:N0}/s, {Duration(seconds)}");
        string left = done < total && rate > 0 ? $", {Duration((total - done) / rate)} left" : "";
        string wrong = problems > 0 ? string.Create(CultureInfo.InvariantCulture, $", {problems:N0} problems") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{what}: {done:N0} of {total:N0}{each}{left}{wrong}");
    }

    private static string Duration(double seconds) =>
        seconds < 60
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s")
            : TimeSpan.FromSeconds(seconds).ToString(@"h\:mm\:ss", CultureInfo.InvariantCulture);

    private void Tell()
    {
        lock (_lock)
        {
            if (!_ended) Write(last: false);
        }
    }

    private void Write(bool last)
    {
        (string what, long done, long total) = _describe();
        if (_part is not null)
        {
            _part.TellProgress(what, done, total, _problems());
            return;
        }

        if (what != _what)
        {
            // Another phase of a split run: rates count from here.
            if (_terminal && _what.Length > 0) Console.Error.WriteLine();
            if (_what.Length > 0) _began = Stopwatch.GetTimestamp();
            _what = what;
        }

        if (!last && !_terminal && Stopwatch.GetElapsedTime(_written) < FileInterval) return;
        _written = Stopwatch.GetTimestamp();
        string line = Line(what, done, total, Stopwatch.GetElapsedTime(_began).TotalSeconds, _problems());
        if (_terminal) Console.Error.Write($"\r\e[K{line}");
        else Console.Error.WriteLine(line);
    }
}
