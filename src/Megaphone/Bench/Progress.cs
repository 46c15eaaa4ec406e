using System.Diagnostics;
using System.Globalization;

namespace Megaphone.Bench;

/// <summary>Tells on standard error how far one phase has come: in one line that is written anew, or, where that is no terminal, now and then in a line of its own.</summary>
internal sealed class Progress : IDisposable
{
    private static readonly TimeSpan OnTerminal = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan InFile = TimeSpan.FromSeconds(5);

    private readonly string _what;
    private readonly long _total;
    private readonly Func<long> _done;
    private readonly Tally _problems;
    private readonly bool _terminal = !Console.IsErrorRedirected;
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private bool _ended;

    /// <summary>Begins to tell.</summary>
    /// <param name="what">What is being done.</param>
    /// <param name="total">How much of it there is to do.</param>
    /// <param name="done">How much of it has been done.</param>
    /// <param name="problems">What has gone wrong.</param>
    public Progress(string what, long total, Func<long> done, Tally problems)
    {
        _what = what;
        _total = total;
        _done = done;
        _problems = problems;
        TimeSpan interval = _terminal ? OnTerminal : InFile;
        _timer = new Timer(_ => Tell(), null, interval, interval);
    }

    /// <summary>Tells how much of a time has passed.</summary>
    public static Progress OfTime(string what, TimeSpan time, Tally problems)
    {
        long began = Stopwatch.GetTimestamp();
        return new Progress($"{what}, seconds", (long)Math.Ceiling(time.TotalSeconds), () => (long)Stopwatch.GetElapsedTime(began).TotalSeconds, problems);
    }

    /// <summary>Tells how it ended.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_lock)
        {
            Write();
            if (_terminal) Console.Error.WriteLine();
            _ended = true;
        }
    }

    /// <summary>The line.</summary>
    public static string Line(string what, long done, long total, double seconds, long problems)
    {
        double rate = seconds > 0 ? done / seconds : 0;
        string left = done < total && rate > 0 ? $", {Duration((total - done) / rate)} left" : "";
        string wrong = problems > 0 ? $", {problems.ToString("N0", CultureInfo.InvariantCulture)} problems" : "";
        return string.Create(
            CultureInfo.InvariantCulture, $"{what}: {done:N0} of {total:N0}, {rate:N0}/s, {Duration(seconds)}{left}{wrong}");
    }

    private static string Duration(double seconds) =>
        seconds < 60 ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s") : TimeSpan.FromSeconds(seconds).ToString(@"h\:mm\:ss", CultureInfo.InvariantCulture);

    private void Tell()
    {
        lock (_lock)
        {
            if (!_ended) Write();
        }
    }

    private void Write()
    {
        string line = Line(_what, _done(), _total, Stopwatch.GetElapsedTime(_began).TotalSeconds, _problems.Total);
        if (_terminal) Console.Error.Write($"\r\e[K{line}");
        else Console.Error.WriteLine(line);
    }
}
