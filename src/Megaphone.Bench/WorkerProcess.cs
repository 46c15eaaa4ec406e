using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Megaphone.Bench;

/// <summary>One process of a split run, as the process that started it sees it.</summary>
internal sealed class WorkerProcess : IDisposable
{
    private readonly Process _process;
    private readonly Thread _reader;
    private volatile bool _ended;
    private volatile bool _isWaiting;
    private volatile string _phase = "";
    private volatile string _what = "";
    private volatile JsonDocument? _report;
    private bool _stopped;
    private long _done;
    private long _total;
    private long _problems;
    private long _clients;

    /// <summary>Starts the worker: this binary, with <c>bench</c> and these arguments.</summary>
    public WorkerProcess(IReadOnlyList<string> arguments)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!, ["bench", .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        _process = Process.Start(start)!;
        _reader = new Thread(Read) { Name = "bench worker", IsBackground = true };
        _reader.Start();
    }

    /// <summary>Its process id.</summary>
    public int ProcessId => _process.Id;

    /// <summary>Whether its output has ended.</summary>
    public bool HasEnded => _ended;

    /// <summary>Whether it waits for <see cref="Continue"/>.</summary>
    public bool IsWaiting => _isWaiting;

    /// <summary>The last phase that it has ended.</summary>
    public string Phase => _phase;

    /// <summary>What it does, how much of that is done, and how much there is to do in all.</summary>
    public string What => _what;

    /// <inheritdoc cref="What"/>
    public long Done => Volatile.Read(ref _done);

    /// <inheritdoc cref="What"/>
    public long Total => Volatile.Read(ref _total);

    /// <summary>The number of its problems.</summary>
    public long Problems => Volatile.Read(ref _problems);

    /// <summary>The number of its clients.</summary>
    public long Clients => Volatile.Read(ref _clients);

    /// <summary>Its results; null: it has not ended, or has ended without any.</summary>
    public JsonElement? Report => _report?.RootElement;

    /// <summary>Has it begin the next phase.</summary>
    public void Continue()
    {
        if (!_isWaiting || _stopped) return;
        _isWaiting = false;
        try
        {
            _process.StandardInput.WriteLine();
            _process.StandardInput.Flush();
        }
        catch (IOException)
        {
            // It has just died; its reader will notice.
        }
    }

    /// <summary>Ends it early: in order, or at once.</summary>
    public void Stop(bool kill)
    {
        if (kill && !_process.HasExited) _process.Kill();
        if (_stopped) return;
        _stopped = true;
        _process.StandardInput.Close();
    }

    /// <summary>Ends the process, if it has not ended.</summary>
    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
        _reader.Join();
        _process.Dispose();
        _report?.Dispose();
    }

    private void Read()
    {
        while (_process.StandardOutput.ReadLine() is { } line)
        {
            string[] words = line.Split(' ', 2);
            if (words[0] == WorkerChannel.ProgressWord && words[1].Split(' ', 5) is [var done, var total, var problems, var clients, var what])
            {
                Volatile.Write(ref _done, Number(done));
                Volatile.Write(ref _total, Number(total));
                Volatile.Write(ref _problems, Number(problems));
                Volatile.Write(ref _clients, Number(clients));
                _what = what;
            }
            else if (words[0] == WorkerChannel.PhaseWord && words[1].Split(' ', 2) is [var count, var phase])
            {
                Volatile.Write(ref _clients, Number(count));
                _phase = phase;
                _isWaiting = true;
            }
            else if (words[0] == WorkerChannel.ReportWord)
            {
                _report = JsonDocument.Parse(words[1]);
            }
        }

        _isWaiting = false;
        _ended = true;
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
