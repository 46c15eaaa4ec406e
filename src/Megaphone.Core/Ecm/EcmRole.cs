using System.Diagnostics;
using System.Net;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Values;
using Microsoft.Extensions.Logging;

namespace Megaphone.Ecm;

/// <summary>The external connection manager: holds the clients' connections and carries their data over its links.</summary>
internal sealed class EcmRole : IDisposable
{
    private static readonly TimeSpan DrainStep = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan DrainLinger = TimeSpan.FromSeconds(1);

    private readonly EcmOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly EcmLog _log;
    private readonly LinkLog _linkLog;
    private readonly LinkTls? _linkTls;
    private readonly EcmServers _servers;
    private readonly ClientHandler _clients;
    private readonly List<IPEndPoint> _listening = [];
    private readonly RefusalReport _refusals;
    private ReactorGroup<EcmClient>? _reactors;
    private TlsAcceptor? _tlsAcceptor;
    private CertificateReload? _reload;
    private ServerLinks? _links;

    /// <summary>Makes the role; nothing runs before <see cref="Start"/>.</summary>
    /// <exception cref="CertificateException">Links use TLS, and its files cannot be used.</exception>
    public EcmRole(EcmOptions options, RoleMetrics metrics, ILoggerFactory loggers)
    {
        _options = options;
        _metrics = metrics;
        _log = new EcmLog(loggers.CreateLogger<EcmRole>());
        _linkLog = new LinkLog(loggers.CreateLogger<Link>());
        _linkTls = options.Connect.Tls is { } tls ? new LinkTls(tls, metrics, _linkLog) : null;
        _servers = new EcmServers(options.Connect.Count, _log);
        _clients = new ClientHandler(options, metrics, _servers, _log);
        metrics.Servers = () => _servers.Status(options.Connect.To);
        _refusals = new RefusalReport(metrics, _log);
    }

    /// <summary>The listeners' addresses with real ports, after <see cref="Start"/>.</summary>
    public IReadOnlyList<IPEndPoint> Listening => _listening;

    /// <summary>Why it is not ready; null when at least one link accepts sessions.</summary>
    public string? NotReady => _servers.AreUp ? null : string.Join("; ", Outages.DefaultIfEmpty("no link is up"));

    /// <summary>A line for each configured server that gets no new clients, whether others do or not.</summary>
    public IEnumerable<string> Outages => _servers.Outages(_options.Connect.To);

    /// <summary>Binds the listeners and starts to connect the links.</summary>
    /// <exception cref="IOException">An address cannot be bound, or there are no descriptors.</exception>
    /// <exception cref="CertificateException">A listener uses TLS, and the library or a certificate is missing.</exception>
    public void Start()
    {
        TlsServer? server = null;
        if (_options.Tls is { } tls)
        {
            CoreDumps.Forbid();
            server = new TlsServer(tls.Server);
        }

        _reactors = new ReactorGroup<EcmClient>(_clients, ReactorOptions(), _metrics, accepted: _clients);
        _clients.Attach(_reactors);
        if (server is not null)
        {
            _tlsAcceptor = new TlsAcceptor(_options, _options.Tls!, server, _reactors, _metrics, _log);
            PublishCertificates(server);
            _reload = new CertificateReload(
                [.. server.Files.SelectMany(files => (string[])[files.Certificate, files.Key])],
                () =>
                {
                    server.Reload();
                    PublishCertificates(server);
                },
                problems => OnCertificatesReloaded(server, problems));
        }

        for (int i = 0; i < _options.Clients.Count; i++)
        {
            ClientListenerOptions client = _options.Clients[i];
            _listening.Add(client.Tls == ClientTls.None
                ? _reactors.Listen(i, client.Listen, _options.Backlog)
                : _tlsAcceptor!.Listen(i, client));
        }

        _reactors.Start();
        _tlsAcceptor?.Start();
        _refusals.Start();
        _links = new ServerLinks(_options, _servers, _reactors, _metrics, _log, _linkLog, _linkTls);
        _links.Start();
        _log.Listening(string.Join(", ", _listening), _options.Connect.Count, string.Join(", ", _options.Connect.To));
    }

    /// <summary>Serves no new clients, and ends those who are there, evenly within <see cref="EcmOptions.DrainOver"/>. Completes when that is
    /// done; the role goes on running.</summary>
    public async Task DrainAsync()
    {
        _clients.RefuseNew();
        if (_reactors is { } reactors) await DrainAsync(reactors, _options.DrainOver, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Stops accepting clients, sends what is queued in both directions, and stops.</summary>
    /// <param name="drainOver">The most that ending clients may take, so that they do not come back to another server all at once.</param>
    /// <param name="deadline">When to stop waiting for the other sides.</param>
    public async Task StopAsync(TimeSpan drainOver, CancellationToken deadline)
    {
        if (_reactors is not { } reactors) return;
        _reactors = null;
        _refusals.Dispose();
        reactors.StopAccepting();
        _tlsAcceptor?.Dispose();
        await LinkTraffic.QuiesceAsync(_metrics, deadline).ConfigureAwait(false);
        if (_options.Link.Framing == LinkFraming.Stanza && reactors.Count > 0)
        {
            _clients.RefuseNew();
            TimeSpan atRate = TimeSpan.FromMilliseconds(1000L * reactors.Count / _options.CloseRate);
            await DrainAsync(reactors, atRate < drainOver ? atRate : drainOver, deadline).ConfigureAwait(false);
        }

        _clients.StopReading();
        _servers.Stop();
        Task connectors = _links?.StopAsync() ?? Task.CompletedTask;
        IEnumerable<Link> links = _servers.Links.Select(link => link.Current).OfType<Link>();
        await Task.WhenAll(links.Select(link => link.Connection.DrainAsync(deadline))).ConfigureAwait(false);
        await Task.WhenAny(connectors, Task.Delay(Timeout.Infinite, deadline)).ConfigureAwait(false);

        // The links are down; slow clients still get what is buffered for them, until the deadline.
        while (_metrics.BufferedBytes > 0 && !deadline.IsCancellationRequested) await Task.Delay(5, CancellationToken.None).ConfigureAwait(false);
        reactors.Stop();
    }

    private async Task DrainAsync(ReactorGroup<EcmClient> reactors, TimeSpan over, CancellationToken deadline)
    {
        long began = Stopwatch.GetTimestamp();
        _log.Draining(_metrics.Connected, DurationText.Of(over));
        reactors.Drain(over, waits: _options.Link.Framing == LinkFraming.Stanza);

        while (reactors.IsDraining && !deadline.IsCancellationRequested) await Task.Delay(DrainStep, CancellationToken.None).ConfigureAwait(false);

        // Who was told the end is given a moment to answer it.
        long told = Stopwatch.GetTimestamp();
        while (reactors.Count > 0 && Stopwatch.GetElapsedTime(told) < DrainLinger && !deadline.IsCancellationRequested)
            await Task.Delay(DrainStep, CancellationToken.None).ConfigureAwait(false);
        _log.Drained(Stopwatch.GetElapsedTime(began).TotalSeconds, reactors.Count);
    }

    /// <summary>Releases what is left after <see cref="StopAsync"/>.</summary>
    public void Dispose()
    {
        _refusals.Dispose();
        _reload?.Dispose();
        _linkTls?.Dispose();
        _links?.Dispose();
    }

    private void PublishCertificates(TlsServer server) =>
        _metrics.Certificates = [.. server.Certificates.Select(chain => (chain.Files.Certificate, chain.NotAfter))];

    private void OnCertificatesReloaded(TlsServer server, string? problems)
    {
        _metrics.AddCertificateReload(succeeded: problems is null);
        if (problems is null) _log.CertificatesReloaded(server.Certificates.Count, server.Certificates.Min(chain => chain.NotAfter).UtcDateTime);
        else _log.CertificatesNotReloaded(problems);
    }

    private ReactorOptions ReactorOptions() => new()
    {
        Name = "ecm",
        Reactors = _options.Reactors,
        MaxConnections = _options.MaxClients,
        HalfOpenTimeout = _options.HalfOpenTimeout,
        CloseRate = _options.CloseRate,
        Buffers = _options.Buffers,
        Liveness = _options.Liveness,
    };
}
