namespace Megaphone.Attacks;

/// <summary>Samples the memory of a process.</summary>
internal sealed class MemoryWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _end = new();
    private readonly Task _watching;
    private long _peak;

    /// <summary>Begins to sample.</summary>
    /// <param name="process">The process id.</param>
    public MemoryWatch(int process)
    {
        Before = _peak = Read(process) ?? 0;
        _watching = WatchAsync(process);
    }

    /// <summary>Bytes of resident anonymous memory in the first sample.</summary>
    public long Before { get; }

    /// <summary>The most bytes of any sample so far.</summary>
    public long Peak => Volatile.Read(ref _peak);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _watching;
        _end.Dispose();
    }

    private async Task WatchAsync(int process)
    {
        while (!_end.IsCancellationRequested)
        {
            if (Read(process) is { } now && now > _peak) Volatile.Write(ref _peak, now);
            await Task.Delay(Interval, _end.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }

    /// <returns>Null when the process is gone.</returns>
    private static long? Read(int process)
    {
        try
        {
            string line = File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
            return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (Exception gone) when (gone is IOException or InvalidOperationException)
        {
            return null;
        }
    }
}
