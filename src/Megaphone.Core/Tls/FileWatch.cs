using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Megaphone.Tls;

/// <summary>Calls back when the content of files has changed, and on SIGHUP: one call at a time, and at most one a second for signals.</summary>
internal sealed class FileWatch : IDisposable
{
    /// <summary>How often the files are read. Reading them whole finds every change, however they were replaced.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Signals that follow each other sooner are answered by one call, since each call may write a line to the log.</summary>
    private static readonly TimeSpan BetweenSignals = TimeSpan.FromSeconds(1);

    private readonly IReadOnlyList<string> _files;
    private readonly Action _changed;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private readonly PosixSignalRegistration _signal;
    private byte[] _lastDigest;
    private bool _isRequested;
    private long _lastSignalCall;

    /// <summary>Begins to watch.</summary>
    /// <param name="files">Their paths; one that cannot be read counts as empty.</param>
    /// <param name="changed">Called on a thread of the pool. Must not throw.</param>
    public FileWatch(IReadOnlyList<string> files, Action changed)
    {
        (_files, _changed) = (files, changed);
        _lastDigest = Digest();
        _timer = new Timer(_ => CallIfDue(), null, Interval, Interval);
        _signal = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            Request();
        });
    }

    /// <summary>Ends.</summary>
    public void Dispose()
    {
        _signal.Dispose();
        _timer.Dispose();
    }

    private void Request()
    {
        lock (_lock)
        {
            if (_isRequested) return;
            _isRequested = true;
            long wait = _lastSignalCall + (long)BetweenSignals.TotalMilliseconds - Environment.TickCount64;
            _timer.Change(TimeSpan.FromMilliseconds(Math.Max(0, wait)), Interval);
        }
    }

    private void CallIfDue()
    {
        lock (_lock)
        {
            byte[] now = Digest();
            if (!_isRequested && now.AsSpan().SequenceEqual(_lastDigest)) return;
            if (_isRequested) _lastSignalCall = Environment.TickCount64;
            _isRequested = false;
            _lastDigest = now;
            _changed();
        }
    }

    private byte[] Digest()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in _files)
        {
            try
            {
                hash.AppendData(File.ReadAllBytes(file));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                hash.AppendData([]);
            }
        }

        return hash.GetHashAndReset();
    }
}
