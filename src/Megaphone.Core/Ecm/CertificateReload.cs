using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>Takes new certificates into use on SIGHUP, and when what is in the files has changed.</summary>
/// <remarks>What cannot be used is told, and what was in use stays. Connections that stand are never touched.</remarks>
internal sealed class CertificateReload : IDisposable
{
    private readonly TlsServer _server;
    private readonly RoleMetrics _metrics;
    private readonly EcmLog _log;
    private readonly FileWatch _watch;

    /// <summary>Begins to watch.</summary>
    public CertificateReload(TlsServer server, RoleMetrics metrics, EcmLog log)
    {
        (_server, _metrics, _log) = (server, metrics, log);
        Publish();
        _watch = new FileWatch([.. server.Files.SelectMany(files => (string[])[files.Certificate, files.Key])], Reload);
    }

    /// <summary>Ends.</summary>
    public void Dispose() => _watch.Dispose();

    private void Reload()
    {
        try
        {
            _server.Reload();
            Publish();
            _metrics.AddCertificateReload(succeeded: true);
            _log.CertificatesReloaded(_server.Certificates.Count, _server.Certificates.Min(chain => chain.NotAfter).UtcDateTime);
        }
        catch (CertificateException error)
        {
            _metrics.AddCertificateReload(succeeded: false);
            _log.CertificatesNotReloaded(error.Message);
        }
    }

    private void Publish() =>
        _metrics.Certificates = [.. _server.Certificates.Select(chain => (chain.Files.Certificate, chain.NotAfter))];
}
