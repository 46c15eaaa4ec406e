namespace Megaphone.EndToEnd.Support;

/// <summary>
/// ECMs and hubs that echo what TLS peers send, one process for each record layer and for a whole class of tests. The first listener has TLS from
/// the first byte on, the second STARTTLS.
/// </summary>
public sealed class TlsPeerServer : IDisposable
{
    /// <summary>The host whose certificate has a key on an elliptic curve.</summary>
    public const string Host = "localhost";

    /// <summary>The host whose certificate has an RSA key.</summary>
    public const string RsaHost = "rsa.example.org";

    private readonly TestCertificates _certificates = new();
    private readonly Dictionary<string, Task<MegaphoneProcess>> _processes = [];

    public TlsPeerServer()
    {
        _certificates.Issue("ecdsa", [Host]);
        _certificates.Issue("rsa", [RsaHost], rsa: true);
    }

    /// <summary>The file of the authority that has issued both certificates.</summary>
    public string AuthorityFile => _certificates.AuthorityFile;

    /// <summary>A file in a folder that goes with this object.</summary>
    public string FileFor(string name) => Path.Combine(Path.GetDirectoryName(AuthorityFile)!, name);

    /// <summary>The process with a record layer, and a hub that echoes.</summary>
    internal Task<MegaphoneProcess> StartedAsync(string layer)
    {
        lock (_processes)
        {
            return _processes.TryGetValue(layer, out Task<MegaphoneProcess>? process) ? process : _processes[layer] = StartAsync(layer);
        }
    }

    /// <summary>Starts another one.</summary>
    internal Task<MegaphoneProcess> StartAsync(string layer, params string[] settings) => MegaphoneProcess.BothAsync(
    [
        "Ecm:Clients:0:Tls=direct", "Ecm:Clients:1:Listen=127.0.0.1:0", "Ecm:Clients:1:Tls=starttls",
        .. _certificates.Settings("ecdsa", "rsa"), .. RecordLayers.Settings(layer), .. settings,
    ]);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Task<MegaphoneProcess> process in _processes.Values.Where(process => process.IsCompletedSuccessfully)) process.Result.Dispose();
        _certificates.Dispose();
    }
}
