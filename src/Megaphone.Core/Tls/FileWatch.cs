using System.Security.Cryptography;
using Megaphone.Handover;

namespace Megaphone.Tls;

/// <summary>Calls back when the content of files has changed, and when it is asked to: one call at a time.</summary>
internal sealed class FileWatch : IDisposable
{
    /// <summary>How often the files are read. Reading them whole finds every change, however they were replaced.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly IReadOnlyList<string> _files;
    private readonly Action _changed;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private byte[] _lastDigest;

    /// <summary>Begins to watch.</summary>
    /// <param name="files">Their paths; one that cannot be read counts as empty.</param>
    /// <param name="changed">Called on a thread of the pool, or by <see cref="Call"/>. Must not throw.</param>
    public FileWatch(IReadOnlyList<string> files, Action changed)
    {
        (_files, _changed) = (files, changed);
        _lastDigest = Digest();
        _timer = new Timer(_ => CallIf(isAsked: false), null, Interval, Interval);
    }

    /// <summary>Calls back, whether anything has changed or not.</summary>
    public void Call() => CallIf(isAsked: true);

    /// <summary>Ends.</summary>
    public void Dispose() => _timer.Dispose();

    private void CallIf(bool isAsked)
    {
        lock (_lock)
        {
            byte[] now = Digest();
            if (!isAsked && now.AsSpan().SequenceEqual(_lastDigest)) return;
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
                hash.AppendData(File.ReadAllBytes(RehearsedFiles.PathOf(file)));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                hash.AppendData([]);
            }
        }

        return hash.GetHashAndReset();
    }
}
