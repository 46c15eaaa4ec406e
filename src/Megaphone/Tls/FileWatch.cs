using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Megaphone.Tls;

/// <summary>Calls when what is in files has changed, and on SIGHUP; one call at a time.</summary>
internal sealed class FileWatch : IDisposable
{
    /// <summary>How often the files are looked at. They are read: how they were put in place does not matter then.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly IReadOnlyList<string> _files;
    private readonly Action _changed;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private readonly PosixSignalRegistration _signal;
    private byte[] _seen;

    /// <summary>Begins to watch.</summary>
    /// <param name="files">Their paths; one that cannot be read counts as empty.</param>
    /// <param name="changed">Called on a thread of the pool. Must not throw.</param>
    public FileWatch(IReadOnlyList<string> files, Action changed)
    {
        (_files, _changed) = (files, changed);
        _seen = Digest();
        _timer = new Timer(_ => Look(asked: false), null, Interval, Interval);
        _signal = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            Look(asked: true);
        });
    }

    /// <summary>Ends.</summary>
    public void Dispose()
    {
        _signal.Dispose();
        _timer.Dispose();
    }

    private void Look(bool asked)
    {
        lock (_lock)
        {
            byte[] now = Digest();
            if (!asked && now.AsSpan().SequenceEqual(_seen)) return;
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
