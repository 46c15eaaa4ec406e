using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>Takes new certificates into use on SIGHUP, and when what is in the files has changed.</summary>
/// <remarks>What cannot be used is told, and what was in use stays. Connections that stand are never touched.</remarks>
internal sealed class CertificateReload : IDisposable
{
    /// <summary>How often the files are looked at. They are read: how they were put in place does not matter then.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly TlsServer _server;
    private readonly RoleMetrics _metrics;
    private readonly EcmLog _log;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private readonly PosixSignalRegistration _signal;
    private byte[] _seen;

    /// <summary>Begins to watch.</summary>
    public CertificateReload(TlsServer server, RoleMetrics metrics, EcmLog log)
    {
        (_server, _metrics, _log) = (server, metrics, log);
        _seen = Digest();
        Publish();
        _timer = new Timer(_ => Look(), null, Interval, Interval);
        _signal = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            Reload();
        });
    }

    /// <summary>Ends.</summary>
    public void Dispose()
    {
        _signal.Dispose();
        _timer.Dispose();
    }

    private void Look()
    {
        lock (_lock)
        {
            if (!Digest().AsSpan().SequenceEqual(_seen)) Reload();
        }
    }

    private void Reload()
    {
        lock (_lock)
        {
            _seen = Digest();
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
    }

    private void Publish() =>
        _metrics.Certificates = [.. _server.Certificates.Select(chain => (chain.Files.Certificate, chain.NotAfter))];

    /// <summary>What is in the files; a file that cannot be read counts as empty.</summary>
    private byte[] Digest()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (CertificateFiles files in _server.Files)
        {
            foreach (string file in (string[])[files.Certificate, files.Key])
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
        }

        return hash.GetHashAndReset();
    }
}
