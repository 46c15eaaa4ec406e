using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Bench;

/// <summary>
/// Shows the progress of a run on standard error: on a terminal in one line that is rewritten, else in a line every few seconds. A
/// worker sends it to the process that split the run.
/// </summary>
internal sealed class Progress : IDisposable
{
    /// <summary>The end of a description whose numbers are seconds.</summary>
    public const string InSeconds = ", seconds";

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FileInterval = TimeSpan.FromSeconds(5);

    private readonly Func<(string What, long Done, long Total)> _describe;
    private readonly Func<long> _problems;
    private readonly WorkerChannel? _worker;
    private readonly bool _terminal = !Console.IsErrorRedirected;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private string _what = "";
    private long _began = Stopwatch.GetTimestamp();
    private long _written = Stopwatch.GetTimestamp();
    private bool _ended;

    /// <summary>Begins to show it.</summary>
    /// <param name="describe">What is being done, how much of it is done, and how much there is to do in all.</param>
    /// <param name="problems">Counts the problems so far.</param>
    /// <param name="worker">Where the progress is sent; null: it is shown.</param>
    public Progress(Func<(string What, long Done, long Total)> describe, Func<long> problems, WorkerChannel? worker = null)
    {
        _describe = describe;
        _problems = problems;
        _worker = worker;
        _timer = new Timer(_ => Update(), null, Interval, Interval);
    }

    /// <summary>Shows the last state.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_lock)
        {
            Write(last: true);
            if (_terminal && _worker is null) Console.Error.WriteLine();
            _ended = true;
        }
    }

    /// <summary>The line that is shown.</summary>
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

    private void Update()
    {
        lock (_lock)
        {
            if (!_ended) Write(last: false);
        }
    }

    private void Write(bool last)
    {
        (string what, long done, long total) = _describe();
        if (_worker is not null)
        {
            _worker.SendProgress(what, done, total, _problems());
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
