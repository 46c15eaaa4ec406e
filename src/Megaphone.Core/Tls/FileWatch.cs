using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Megaphone.Tls;

/// <summary>Calls when what is in files has changed, and on SIGHUP; one call at a time, and for SIGHUP no more than one in a second.</summary>
internal sealed class FileWatch : IDisposable
{
    /// <summary>How often the files are looked at. They are read: how they were put in place does not matter then.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Signals that follow each other sooner are answered together: each call may have a line in the log.</summary>
    private static readonly TimeSpan BetweenSignals = TimeSpan.FromSeconds(1);

    private readonly IReadOnlyList<string> _files;
    private readonly Action _changed;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private readonly PosixSignalRegistration _signal;
    private byte[] _seen;
    private bool _asked;
    private long _answered;

    /// <summary>Begins to watch.</summary>
    /// <param name="files">Their paths; one that cannot be read counts as empty.</param>
    /// <param name="changed">Called on a thread of the pool. Must not throw.</param>
    public FileWatch(IReadOnlyList<string> files, Action changed)
    {
        (_files, _changed) = (files, changed);
        _seen = Digest();
        _timer = new Timer(_ => Look(), null, Interval, Interval);
        _signal = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            Ask();
        });
    }

    /// <summary>Ends.</summary>
    public void Dispose()
    {
        _signal.Dispose();
        _timer.Dispose();
    }

    private void Ask()
    {
        lock (_lock)
        {
            if (_asked) return;
            _asked = true;
            long wait = _answered + (long)BetweenSignals.TotalMilliseconds - Environment.TickCount64;
            _timer.Change(TimeSpan.FromMilliseconds(Math.Max(0, wait)), Interval);
        }
    }

    private void Look()
    {
        lock (_lock)
        {
            byte[] now = Digest();
            if (!_asked && now.AsSpan().SequenceEqual(_seen)) return;
            if (_asked) _answered = Environment.TickCount64;
            _asked = false;
            _seen = now;
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
