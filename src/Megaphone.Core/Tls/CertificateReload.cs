namespace Megaphone.Tls;

/// <summary>Takes new certificates into use when what is in the files has changed, and when it is asked to.</summary>
/// <remarks>What cannot be used is reported, and what was in use stays. Connections that stand are never touched.</remarks>
internal sealed class CertificateReload : IDisposable
{
    private readonly Action _load;
    private readonly Action<string?> _onLoaded;
    private readonly FileWatch? _watch;

    /// <summary>Begins to watch. The first load has been the caller's.</summary>
    /// <param name="files">What is watched; where there are none, nothing is ever loaded again.</param>
    /// <param name="load">
    /// Reads the files and takes what is in them into use. Throws <see cref="CertificateException"/> when it cannot be used.
    /// </param>
    /// <param name="onLoaded">Called after each load, with what is wrong, in words; null: it is in use.</param>
    public CertificateReload(IReadOnlyList<string> files, Action load, Action<string?> onLoaded)
    {
        _load = load;
        _onLoaded = onLoaded;
        if (files.Count > 0) _watch = new FileWatch(files, LoadAgain);
    }

    /// <summary>Loads now.</summary>
    public void Reload() => _watch?.Call();

    /// <summary>Ends.</summary>
    public void Dispose() => _watch?.Dispose();

    private void LoadAgain()
    {
        string? problems = null;
        try
        {
            _load();
        }
        catch (CertificateException error)
        {
            problems = error.Message;
        }

        _onLoaded(problems);
    }
}
