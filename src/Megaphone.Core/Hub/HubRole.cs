using System.Net;
using System.Net.Sockets;
using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Unix;
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
    private readonly HubHead? _head;
    private ISessionBackend? _backend;
    private LinkListener? _listener;
    private Timer? _idleTimer;

    /// <summary>Makes the role; nothing runs before <see cref="Start"/>.</summary>
    /// <param name="options">Its settings.</param>
    /// <param name="metrics">Its counters.</param>
    /// <param name="loggers">Makes its loggers.</param>
    /// <param name="state">The state of one whose place it takes, of which the beginning is read here; null: there is none.</param>
    /// <exception cref="CertificateException">Links use TLS, and its files cannot be used.</exception>
    /// <exception cref="StateException">The state cannot be taken over.</exception>
    public HubRole(HubOptions options, RoleMetrics metrics, ILoggerFactory loggers, StateReader? state = null)
    {
        _log = new HubLog(loggers.CreateLogger<HubRole>());
        if (state is not null)
        {
            _head = HubHead.Restore(state);
            List<string> notes = [];
            options = _head.Adapt(options, notes);
            notes.ForEach(_log.Unchanged);
            Unchanged = notes;
        }

        _options = options;
        _metrics = metrics;
        _linkLog = new LinkLog(loggers.CreateLogger<Link>());
        _linkTls = options.Tls is { } tls ? new LinkTls(tls, metrics, _linkLog) : null;
        _sessions = new SessionLifecycle(options, metrics, _log);
        metrics.LinkList = () => [.. _sessions.Links.All().Select(link => link.Status).OfType<LinkStatus>()];
        metrics.Limits = [("max_sessions", options.MaxSessions), ("max_links", options.MaxLinks)];
    }

    /// <summary>The listener's address with the real port, after <see cref="Start"/>.</summary>
    public EndPoint Listening => _listener!.Listening;

    /// <summary>A line for each value of the configuration that a reload could not bring into force.</summary>
    public IReadOnlyList<string> Unchanged { get; } = [];

    /// <summary>Binds the listener and starts.</summary>
    /// <param name="state">The rest of the state that the constructor began to read.</param>
    /// <exception cref="IOException">The address cannot be bound, or there are no descriptors.</exception>
    /// <exception cref="StateException">The state cannot be taken over.</exception>
    public void Start(StateReader? state = null)
    {
        ISessionBackend backend = _options.Backends.Count > 0
            ? new TcpBackend(_options.Backends, _sessions, _log, least: _head?.Capacity ?? 0)
            : new EchoBackend(_sessions);
        _backend = backend;
        _listener = new LinkListener(
            _options.Listen,
            _options.MaxLinks,
            _options.Link,
            () => new HubLink(_sessions, backend),
            _metrics,
            _linkLog,
            _linkTls,
            _options.ResumeTimeout,
            Inherited(),
            _options.SocketMode);
        if (state is not null) Restore(state, backend, _listener);
        GoOn();
        IEnumerable<string> backends = _options.Backends.Count == 0 ? ["echo:"] : _options.Backends.Select(backend => $"tcp://{backend}");
        _log.Listening($"{Listening}", string.Join(", ", backends));
    }

    /// <summary>Why nobody may take its place now; null: nothing is in the way.</summary>
    public string? FindObstacle()
    {
        HubLink? fixedLink = _sessions.Links.All().FirstOrDefault(link => link.Usable is { Terms: null } && link.Sessions.OpenCount > 0);
        return fixedLink is null ? null : $"the link from {fixedLink.Peer}, which has {fixedLink.Sessions.OpenCount} sessions, cannot be resumed";
    }

    /// <summary>What decides whether a configuration fits.</summary>
    public HubHead Head => new(
        _options.Reactors, Math.Max(_options.MaxSessions, _head?.Capacity ?? 0), _options.Link.RingBytes, _options.Link.MaxPacketBytes,
        _options.Backends.Count == 0, _options.Listen, Listening, _listener!.Descriptor);

    /// <inheritdoc cref="LinkConnection.ExpectStandstill"/>
    public void ExpectStandstill() => _listener!.ExpectStandstill();

    /// <summary>Stands still: no session is served, and links are cut, until <see cref="GoOn"/>, or until the process's next image takes what
    /// <see cref="Save"/> writes.</summary>
    public async Task SuspendAsync()
    {
        if (_idleTimer is { } timer) await timer.DisposeAsync().ConfigureAwait(false);
        await _listener!.SuspendAsync().ConfigureAwait(false);
        _backend!.Park();
    }

    /// <summary>Writes everything that is to be taken over, while it stands still.</summary>
    /// <exception cref="StateException">Something cannot be handed over.</exception>
    public void Save(StateWriter writer)
    {
        Head.Save(writer);
        writer.Write(_metrics.Copy());
        HubLink[] links = _sessions.Links.All();
        IReadOnlyDictionary<Link, LinkRegistration> registrations = _listener!.Registrations;
        writer.Write(links.Length);
        foreach (HubLink link in links) link.Save(writer, registrations);
        _backend!.Save(writer);
    }

    /// <summary>Goes on as if nothing had happened, also where it stands still in part only.</summary>
    public void GoOn()
    {
        _backend!.Start();
        _listener!.Start();
        if (_options.IdleTimeout is not { } idle) return;
        TimeSpan interval = TimeSpan.FromMilliseconds(Math.Clamp(idle.TotalMilliseconds / 10, 20, 10_000));
        _idleTimer?.Dispose();
        _idleTimer = new Timer(_ => EndIdle(idle), null, interval, interval);
    }

    /// <summary>Reads the files of certificates again.</summary>
    public void ReloadCertificates() => _linkTls?.Reload();

    /// <summary>Asks ECMs for no new sessions on the links that there are, and on those that come. Sessions stay until they end.</summary>
    public void Drain() => _sessions.Drain();

    /// <inheritdoc cref="SessionLifecycle.EndDrain"/>
    public int Undrain() => _sessions.EndDrain();

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

    private Socket? Inherited()
    {
        int descriptor = _head?.Descriptor ?? -1;
        if (_options.Listen is UnixEndPoint unix) descriptor = UnixPath.Inherit(unix.Path, descriptor, _options.SocketMode);
        return descriptor < 0 ? null : NativeSocket.Adopt(descriptor);
    }

    private void Restore(StateReader state, ISessionBackend backend, LinkListener listener)
    {
        RoleCounters counters = state.Read<RoleCounters>();
        int cut = 0;
        for (int left = state.ReadNumber(0, HubLinks.MaxIndex, "the number of links"); left > 0; left--)
        {
            if (HubLink.Restore(state, _sessions, backend, listener).Usable is not null) cut++;
        }

        _metrics.GoOnFrom(counters, cut);
        backend.Restore(state);
    }

    private void EndIdle(TimeSpan idle)
    {
        foreach (HubLink link in _sessions.Links.All())
        {
            foreach (HubSession session in link.OpenSessions(idle)) _backend!.Abort(session, CloseReason.IdleTimeout);
        }
    }
}
