using System.Collections.Concurrent;
using System.Diagnostics;

namespace Megaphone.EndToEnd.Support;

/// <summary>A process that a test has started: its output line by line, its exit status, and the kernel's facts about it.</summary>
/// <remarks>It ends with the test at the latest.</remarks>
internal sealed class ChildProcess : IDisposable
{
    private static readonly ConcurrentDictionary<Process, bool> Running = new();

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = new();
    private readonly ConcurrentQueue<string> _errors = new();

    static ChildProcess() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        foreach (Process process in Running.Keys) End(process);
    };

    private ChildProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => { if (line.Data is not null) _output.Enqueue(line.Data); };
        process.ErrorDataReceived += (_, line) => { if (line.Data is not null) _errors.Enqueue(line.Data); };
    }

    /// <summary>The process id.</summary>
    public int Id => _process.Id;

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>Lines of standard output so far.</summary>
    public IReadOnlyCollection<string> Output => _output;

    /// <summary>Lines of standard error so far.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    /// <summary>Its output so far, for failure messages.</summary>
    public string Said => string.Join('\n', _output.TakeLast(40).Concat(_errors.TakeLast(40)));

    /// <summary>Whether it runs, or how it has ended, and the last that it has said.</summary>
    public string State => (HasEnded ? $"It has ended with status {_process.ExitCode}" : "It runs") + $". It said:\n{Said}";

    /// <summary>Open descriptors, as the kernel counts them.</summary>
    public int Descriptors => Directory.GetFileSystemEntries($"/proc/{Id}/fd").Length;

    /// <summary>Bytes of memory that it has resident.</summary>
    public long ResidentBytes
    {
        get
        {
            string line = File.ReadLines($"/proc/{Id}/status").Single(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
            return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Waits until it is seen to use hardly any processor time: what waits in it does not do so in a loop.</summary>
    public async Task RestsAsync()
    {
        for (int look = 0; look < 100; look++)
        {
            _process.Refresh();
            TimeSpan before = _process.TotalProcessorTime;
            await Task.Delay(BoundedWait.Watch);
            _process.Refresh();
            if (_process.TotalProcessorTime - before < BoundedWait.Watch / 4) return;
        }

        throw new TimeoutException("It never rests.");
    }

    /// <summary>Starts it in the folder, with these additional environment variables (null removes one).</summary>
    public static ChildProcess Start(
        IReadOnlyList<string> command, string? folder = null, IReadOnlyDictionary<string, string?>? environment = null)
    {
        // What starts the tests may ignore signals (nohup, a background job of a shell), and that is inherited.
        ProcessStartInfo start = new("env", ["--default-signal", .. command])
        {
            WorkingDirectory = folder ?? Path.GetTempPath(),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        // The tests' own environment variables for Megaphone, or of a service manager, are not meant for this process.
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("MEGAPHONE_", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(name);
        start.Environment.Remove("NOTIFY_SOCKET");
        foreach ((string name, string? value) in environment ?? new Dictionary<string, string?>())
            start.Environment[name] = value;

        ChildProcess child = new(new Process { StartInfo = start });
        child._process.Start();
        Running[child._process] = true;
        child._process.BeginOutputReadLine();
        child._process.BeginErrorReadLine();
        return child;
    }

    /// <summary>Waits for a line of standard output with this beginning.</summary>
    public async Task<string> LineAsync(string beginning)
    {
        string? found = null;
        await BoundedWait.UntilAsync(
            () =>
            {
                found = _output.FirstOrDefault(line => line.StartsWith(beginning, StringComparison.Ordinal));
                if (found is null && HasEnded)
                {
                    _process.WaitForExit();
                    throw new InvalidOperationException($"It ended with {_process.ExitCode} before it said \"{beginning}\":\n{Said}");
                }

                return Task.FromResult(found is not null);
            },
            () => $"a line \"{beginning}…\" from\n{Said}");
        return found!;
    }

    /// <summary>Sends a signal.</summary>
    public void Signal(int signal) => Signals.Send(Id, signal);

    /// <summary>Writes a line to its standard input.</summary>
    public Task WriteLineAsync(string line)
    {
        _process.StandardInput.WriteLine(line);
        return _process.StandardInput.FlushAsync();
    }

    /// <summary>Closes its standard input.</summary>
    public void CloseInput() => _process.StandardInput.Close();

    /// <summary>Waits for its end; all of its output has been read then.</summary>
    /// <param name="atMost">For how long; null: <see cref="BoundedWait.Limit"/>.</param>
    /// <returns>The exit status.</returns>
    public async Task<int> EndAsync(TimeSpan? atMost = null)
    {
        await BoundedWait.WithinAsync(_process.WaitForExitAsync(), "the end of the process", atMost);
        return _process.ExitCode;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        End(_process);
        _process.Dispose();
    }

    private static void End(Process process)
    {
        if (!Running.TryRemove(process, out _)) return;
        if (!process.HasExited) process.Kill(entireProcessTree: true);

        // Bounded: it also waits for the end of its output, which a process that it left behind may hold open.
        process.WaitForExit(BoundedWait.Limit);
    }
}
