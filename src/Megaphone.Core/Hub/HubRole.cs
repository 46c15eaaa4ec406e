using System.Net;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Tls;
using Microsoft.Extensions.Logging;

namespace Megaphone.Hub;

/// <summary>The hub: accepts links, and connects each session on them to the backend.</summary>
internal sealed class HubRole : IDisposable
{
    private readonly HubOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly HubLog _log;
    private readonly LinkLog _linkLog;
    private readonly LinkTls? _linkTls;
    private readonly SessionLifecycle _sessions;
    private ISessionBackend? _backend;
    private LinkListener? _listener;
    private Timer? _idleTimer;

    /// <summary>Makes the role; nothing runs before <see cref="Start"/>.</summary>
    /// <exception cref="CertificateException">Links use TLS, and its files cannot be used.</exception>
    public HubRole(HubOptions options, RoleMetrics metrics, ILoggerFactory loggers)
    {
        _options = options;
        _metrics = metrics;
        _log = new HubLog(loggers.CreateLogger<HubRole>());
        _linkLog = new LinkLog(loggers.CreateLogger<Link>());
        _linkTls = options.Tls is { } tls ? new LinkTls(tls, metrics, _linkLog) : null;
        _sessions = new SessionLifecycle(options, metrics, _log);
    }

    /// <summary>The listener's address with the real port, after <see cref="Start"/>.</summary>
    public IPEndPoint Listening => _listener!.Listening;

    /// <summary>Binds the listener and starts.</summary>
    /// <exception cref="IOException">The address cannot be bound, or there are no descriptors.</exception>
    public void Start()
    {
        ISessionBackend backend = _options.Backends.Count > 0 ? new TcpBackend(_options.Backends, _sessions, _log) : new EchoBackend(_sessions);
        _backend = backend;
        _listener = new LinkListener(
            _options.Listen,
            _options.MaxLinks,
            _options.Link,
            () => new HubLink(_sessions, backend),
            _metrics,
            _linkLog,
            _linkTls,
            _options.ResumeTimeout);
        if (_options.IdleTimeout is { } idle)
        {
            TimeSpan interval = TimeSpan.FromMilliseconds(Math.Clamp(idle.TotalMilliseconds / 10, 20, 10_000));
            _idleTimer = new Timer(_ => EndIdle(idle), null, interval, interval);
        }

        IEnumerable<string> backends = _options.Backends.Count == 0 ? ["echo:"] : _options.Backends.Select(backend => $"tcp://{backend}");
        _log.Listening(Listening.ToString(), string.Join(", ", backends));
    }

    /// <summary>Reads the files of certificates again.</summary>
    public void ReloadCertificates() => _linkTls?.Reload();

    /// <summary>Asks ECMs for no new sessions on the links that there are, and on those that come. Sessions stay until they end.</summary>
    public void Drain() => _sessions.Drain();

    /// <summary>Stops accepting links, asks ECMs for no more sessions, sends what is queued in both directions, and stops.</summary>
    /// <param name="deadline">When to stop waiting for the other sides.</param>
    public async Task StopAsync(CancellationToken deadline)
    {
        _idleTimer?.Dispose();
        LinkConnection[] connections = [];
        if (_listener is not null)
        {
            _listener.Dispose();
            connections = _listener.Connections();
            foreach (LinkConnection connection in connections) connection.Link?.TryWrite(ControlMessage.Drain(after: TimeSpan.Zero));
            await LinkTraffic.QuiesceAsync(_metrics, deadline).ConfigureAwait(false);
        }

        foreach (HubLink link in connections.Select(connection => connection.Handler).OfType<HubLink>()) link.StopSending();
        await Task.WhenAll(connections.Select(connection => connection.DrainAsync(deadline))).ConfigureAwait(false);
        _listener?.LoseCut("shutting down");
        if (_backend is not null) await _backend.StopAsync(deadline).ConfigureAwait(false);
    }

    /// <summary>Releases what is left after <see cref="StopAsync"/>.</summary>
    public void Dispose()
    {
        _idleTimer?.Dispose();
        _listener?.Dispose();
        _linkTls?.Dispose();
        _backend?.Dispose();
    }

    private void EndIdle(TimeSpan idle)
    {
        foreach (HubLink link in _sessions.Links.All())
        {
            foreach (HubSession session in link.OpenSessions(idle)) _backend!.Abort(session, CloseReason.IdleTimeout);
        }
    }
}
