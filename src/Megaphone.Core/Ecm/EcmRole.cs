using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Unix;
using Megaphone.Values;
using Microsoft.Extensions.Logging;

namespace Megaphone.Ecm;

/// <summary>The external connection manager: holds the clients' connections and carries their data over its links.</summary>
internal sealed class EcmRole : IDisposable
{
    private static readonly TimeSpan DrainStep = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan DrainLinger = TimeSpan.FromSeconds(1);
    private static readonly IPEndPoint Nowhere = new(IPAddress.None, 0);

    private readonly EcmOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly EcmLog _log;
    private readonly LinkLog _linkLog;
    private readonly LinkTls? _linkTls;
    private readonly EcmServers _servers;
    private readonly ClientHandler _clients;
    private readonly EcmHead? _head;
    private readonly List<Acceptor?> _acceptors = [];
    private readonly RefusalReport _refusals;
    private ReactorGroup<EcmClient>? _reactors;
    private TlsAcceptor? _tlsAcceptor;
    private CertificateReload? _reload;
    private ServerLinks? _links;
    private IReadOnlyList<EcmLink> _cut = [];
    private int _drains;

    /// <summary>Makes the role; nothing runs before <see cref="Start"/>.</summary>
    /// <param name="options">Its settings.</param>
    /// <param name="metrics">Its counters.</param>
    /// <param name="loggers">Makes its loggers.</param>
    /// <param name="state">The state of one whose place it takes, of which the beginning is read here; null: there is none.</param>
    /// <exception cref="CertificateException">Links use TLS, and its files cannot be used.</exception>
    /// <exception cref="StateException">The state cannot be taken over.</exception>
    public EcmRole(EcmOptions options, RoleMetrics metrics, ILoggerFactory loggers, StateReader? state = null)
    {
        _log = new EcmLog(loggers.CreateLogger<EcmRole>());
        if (state is not null)
        {
            _head = EcmHead.Restore(state);
            List<string> notes = [];
            options = _head.Adapt(options, notes);
            notes.ForEach(_log.Unchanged);
            Unchanged = notes;
        }

        _options = options;
        _metrics = metrics;
        _linkLog = new LinkLog(loggers.CreateLogger<Link>());
        _linkTls = options.Connect.Tls is { } tls ? new LinkTls(tls, metrics, _linkLog) : null;
        _servers = new EcmServers(options.Connect.Count, _log);
        _clients = new ClientHandler(options, metrics, _servers, _log);
        if (_head is not null) _clients.UseListeners(_head.MapListeners(options));
        metrics.Servers = () => _servers.Status(options.Connect.To, index => _clients.Logins.OnLink(index));
        metrics.LinkList = () => [.. _servers.Links.Select(link => link.Status)];
        metrics.Listeners = ListListeners;
        metrics.Limits = EcmLimits.Of(options);
        _refusals = new RefusalReport(metrics, _log);
    }

    /// <summary>The listeners' addresses with real ports, after <see cref="Start"/>.</summary>
    public IReadOnlyList<EndPoint> Listening => [.. _acceptors.OfType<Acceptor>().Select(acceptor => acceptor.Listening)];

    /// <summary>What operators may ask of clients, and order; after <see cref="Start"/>.</summary>
    public ClientDesk? Desk => _clients.Desk;

    /// <summary>A line for each value of the configuration that a reload could not bring into force.</summary>
    public IReadOnlyList<string> Unchanged { get; } = [];

    /// <summary>Why it is not ready; null when at least one link accepts sessions.</summary>
    public string? NotReady => _servers.AreUp ? null : string.Join("; ", Outages.DefaultIfEmpty("no link is up"));

    /// <summary>A line for each configured server that gets no new clients, whether others do or not.</summary>
    public IEnumerable<string> Outages => _servers.Outages(_options.Connect.To);

    /// <summary>Binds the listeners and starts to connect the links.</summary>
    /// <param name="state">The rest of the state that the constructor began to read.</param>
    /// <exception cref="IOException">An address cannot be bound, or there are no descriptors.</exception>
    /// <exception cref="CertificateException">A listener uses TLS, and the library or a certificate is missing.</exception>
    /// <exception cref="StateException">The state cannot be taken over.</exception>
    public void Start(StateReader? state = null)
    {
        TlsServer? server = null;
        if (_options.Tls is { } tls)
        {
            CoreDumps.Forbid();
            server = new TlsServer(tls.Server);
        }

        _reactors = new ReactorGroup<EcmClient>(
            _clients, ReactorOptions(), _metrics, accepted: _clients, outgoing: _clients, least: _head?.Capacity ?? 0);
        _clients.Attach(_reactors, NameOfListener);
        if (server is not null || _options.Clients.Any(client => client.HasProxies))
            _tlsAcceptor = new TlsAcceptor(_options, _options.Tls ?? EcmTlsOptions.None, server, _reactors, _clients.Limits, _metrics, _log);
        if (server is not null)
        {
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

        IReadOnlyList<EcmLink> cut = state is null ? [] : Restore(state, _reactors);
        HashSet<int> taken = [];
        for (int i = 0; i < _options.Clients.Count; i++)
        {
            _acceptors.Add(Listen(i, _reactors, inherited: _head?.TakeDescriptor(_options.Clients[i].Listen, taken) ?? -1));
        }

        // A listener that has gone takes its socket with it, and the connections that nobody has accepted.
        foreach (EcmHead.Listener listener in _head?.Listeners ?? [])
        {
            if (listener.Descriptor < 0 || taken.Contains(listener.Descriptor)) continue;
            _ = Libc.Close(listener.Descriptor);
            if (listener.Configured is UnixEndPoint unix) UnixPath.Remove(unix.Path);
        }

        _reactors.Start();
        _clients.Start();
        _tlsAcceptor?.Start();
        _refusals.Start();
        _links = new ServerLinks(_options, _servers, _reactors, _metrics, _log, _linkLog, _linkTls);
        _links.Start(cut);
        _log.Listening(string.Join(", ", Listening), _options.Connect.Count, string.Join(", ", _options.Connect.To));
    }

    /// <summary>Why nobody may take its place now; null: nothing is in the way.</summary>
    public string? FindObstacle()
    {
        if (_reactors is not { IsDraining: false }) return "the ECM is draining or has stopped";
        if (_options.Tls is { Server.Records: RecordLayer.OpenSsl })
            return "Ecm:Tls:Records openssl: what OpenSSL keeps of a client cannot be handed over";
        EcmLink? fixedLink = _servers.Links.FirstOrDefault(link => link is { Clients: > 0, Current: { Terms: null } });
        return fixedLink is null ? null : $"the link to {fixedLink.Address}, which has {fixedLink.Clients} clients, cannot be resumed";
    }

    /// <summary>Reads the files of certificates again.</summary>
    public void ReloadCertificates()
    {
        _reload?.Reload();
        _linkTls?.Reload();
    }

    /// <summary>What decides whether a configuration fits.</summary>
    public EcmHead Head => new()
    {
        Reactors = _options.Reactors,
        Capacity = Math.Max(_options.MaxClients, _head?.Capacity ?? 0),
        RingBytes = _options.Link.RingBytes,
        MaxPacketBytes = _options.Link.MaxPacketBytes,
        LimitBytes = _options.Buffers.LimitBytes,
        IncompleteBytes = _options.IncompleteBytes,
        Framing = _options.Link.Framing,
        Listeners = [
            .. _acceptors.Select((acceptor, i) => acceptor is null
                ? EcmHead.Listener.Closed(_options.Clients[i].Listen, WhenClosed(_options.Clients[i]))
                : new EcmHead.Listener(
                    acceptor.Configured, acceptor.Listening, _options.Clients[i].MaxStanzaBytes, _options.Clients[i].Web?.Ping,
                    acceptor.Descriptor)),
            .. _options.FormerListeners.Select(former => EcmHead.Listener.Closed(Nowhere, former)),
        ],
    };

    /// <summary>Stands still: nobody is accepted or served, and links are cut, until <see cref="GoOn"/>, or until the process's next image
    /// takes what <see cref="Save"/> writes.</summary>
    public async Task SuspendAsync()
    {
        _tlsAcceptor?.Suspend();
        _cut = await _links!.SuspendAsync().ConfigureAwait(false);
        _clients.Suspend();
        _reactors!.Park();
    }

    /// <summary>Writes everything that is to be taken over, while it stands still.</summary>
    /// <exception cref="StateException">Something cannot be handed over.</exception>
    public void Save(StateWriter writer)
    {
        Head.Save(writer);
        writer.WriteText(LinkSlot.Instance);
        Span<byte> keys = stackalloc byte[TicketKeys.Bytes];
        writer.Write(TicketKeys.Copy(keys));
        writer.WriteBytes(keys);
        CryptographicOperations.ZeroMemory(keys);
        writer.Write(_metrics.Copy());
        _servers.Save(writer);
        _reactors!.Save(writer, _clients);
        _clients.Limits.Save(writer);
        _clients.Logins.Save(writer);
    }

    /// <summary>Goes on as if nothing had happened, also where it stands still in part only.</summary>
    public void GoOn()
    {
        _reactors!.Start();
        _clients.Start();
        _tlsAcceptor?.Start();
        _links!.Start(_cut);
    }

    /// <summary>Serves no new clients, and ends those who are there, evenly within a time. Completes when that is done; the role goes on
    /// running.</summary>
    /// <param name="over">The time; null: <see cref="EcmOptions.DrainOver"/>.</param>
    public async Task DrainAsync(TimeSpan? over = null)
    {
        _clients.AcceptNew(false);
        if (_reactors is { } reactors) await DrainAsync(reactors, over ?? _options.DrainOver, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Gives one server no new clients, and ends those whom it has, evenly within a time.</summary>
    /// <param name="server">As it is configured.</param>
    /// <param name="over">The time; null: <see cref="EcmOptions.DrainOver"/>.</param>
    /// <returns>How many it has; null: there is no such server.</returns>
    public int? Drain(string server, TimeSpan? over)
    {
        HostPort? target = _options.Connect.To.FirstOrDefault(target => target.ToString() == server);
        if (target is null || _reactors is not { } reactors) return null;
        int clients = _servers.TakeOut(target);
        _log.DrainingServer(server, clients, DurationText.Of(over ?? _options.DrainOver));
        double share = (double)clients / Math.Max(1, reactors.Count);
        reactors.Drain(over ?? _options.DrainOver, waits: _options.Link.Framing == LinkFraming.Stanza, share);
        return clients;
    }

    /// <summary>Takes back what <see cref="DrainAsync(TimeSpan?)"/> and <see cref="Drain"/> have begun: new clients are served, by all servers, and
    /// those who are still there stay.</summary>
    public void Undrain()
    {
        Interlocked.Increment(ref _drains);
        _servers.PutBack();
        _clients.AcceptNew(true);
        _reactors?.EndDrain();
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
            _clients.AcceptNew(false);
            TimeSpan atRate = TimeSpan.FromMilliseconds(1000L * reactors.Count / _options.CloseRate);
            await DrainAsync(reactors, atRate < drainOver ? atRate : drainOver, deadline).ConfigureAwait(false);
        }

        _clients.StopReading();
        _servers.Stop();
        Task connectors = _links?.StopAsync() ?? Task.CompletedTask;
        IEnumerable<Link> links = _servers.Links.Select(link => link.Current).OfType<Link>();
        await Task.WhenAll(links.Select(link => link.Connection?.DrainAsync(deadline) ?? Task.CompletedTask)).ConfigureAwait(false);
        await Task.WhenAny(connectors, Task.Delay(Timeout.Infinite, deadline)).ConfigureAwait(false);

        // The links are down; slow clients still get what is buffered for them, until the deadline.
        while (_metrics.BufferedBytes > 0 && !deadline.IsCancellationRequested) await Task.Delay(5, CancellationToken.None).ConfigureAwait(false);
        _clients.Suspend();
        reactors.Stop();
        _clients.Dispose();
    }

    private async Task DrainAsync(ReactorGroup<EcmClient> reactors, TimeSpan over, CancellationToken deadline)
    {
        int drain = Interlocked.Increment(ref _drains);
        long began = Stopwatch.GetTimestamp();
        _log.Draining(_metrics.Connected, DurationText.Of(over));
        reactors.Drain(over, waits: _options.Link.Framing == LinkFraming.Stanza);

        while (reactors.IsDraining && !deadline.IsCancellationRequested) await Task.Delay(DrainStep, CancellationToken.None).ConfigureAwait(false);

        // Who was told the end is given a moment to answer it.
        long told = Stopwatch.GetTimestamp();
        while (reactors.Count > 0 && Stopwatch.GetElapsedTime(told) < DrainLinger && !deadline.IsCancellationRequested)
            await Task.Delay(DrainStep, CancellationToken.None).ConfigureAwait(false);
        if (Volatile.Read(ref _drains) == drain) _log.Drained(Stopwatch.GetElapsedTime(began).TotalSeconds, reactors.Count);
    }

    /// <summary>Releases what is left after <see cref="StopAsync"/>.</summary>
    public void Dispose()
    {
        _refusals.Dispose();
        _clients.Dispose();
        _reload?.Dispose();
        _linkTls?.Dispose();
        _links?.Dispose();
    }

    private IReadOnlyList<EcmLink> Restore(StateReader state, ReactorGroup<EcmClient> reactors)
    {
        LinkSlot.Instance = state.ReadName("the instance");
        long rotatedAt = state.Read<long>();
        ReadOnlySpan<byte> keys = state.ReadBytes(TicketKeys.Bytes, "the keys of tickets");
        state.Check(keys.Length == TicketKeys.Bytes, "the keys of tickets");
        TicketKeys.GoOnWith(keys, rotatedAt);
        RoleCounters counters = state.Read<RoleCounters>();
        IReadOnlyList<EcmLink> cut = _servers.Restore(state, reactors, _options.Link, _metrics, _linkLog);
        _metrics.GoOnFrom(counters, cut.Count);
        reactors.Restore(state, _clients, _head!.Descriptors);
        _clients.Limits.Restore(state);
        _clients.Logins.Restore(state);
        return cut;
    }

    /// <summary>Binds a listener. While a state is taken over, one that cannot be bound, though the rehearsal could, is left out: those who are
    /// connected go first.</summary>
    private Acceptor? Listen(int number, ReactorGroup<EcmClient> reactors, int inherited)
    {
        ClientListenerOptions client = _options.Clients[number];
        try
        {
            return client is { Tls: ClientTls.None, HasProxies: false }
                ? reactors.Listen(number, client.Listen, _options.Backlog, inherited, client.SocketMode, TryMakeRoom)
                : _tlsAcceptor!.Listen(number, client, inherited, TryMakeRoom);
        }
        catch (ListenException error) when (_head is not null)
        {
            _log.NotListening(number, error.Message);
            return null;
        }
    }

    /// <summary>No descriptor is left for a client who has connected: has somebody give way who has not logged in.</summary>
    private bool TryMakeRoom(in NativeAddress peer) =>
        !_clients.Limits.Denies(peer) && (_clients.TryMakeRoom(peer, Limit.Descriptors) || _tlsAcceptor?.TryMakeRoom(peer) == true);

    private string NameOfListener(int number) => number < _acceptors.Count && _acceptors[number] is { } acceptor ? $"{acceptor.Listening}" : "closed";

    private List<ListenerStatus> ListListeners()
    {
        List<ListenerStatus> all =
        [
            .. _options.Clients.Select((client, number) => new ListenerStatus(
                NameOfListener(number), Label.Of(client.Framing), Label.Of(client.Tls).Replace("_", "", StringComparison.Ordinal),
                _clients.Counts[number])),
        ];
        int former = _clients.Counts.From(_options.Clients.Count);
        if (former > 0) all.Add(new ListenerStatus("closed", "", "", former));
        return all;
    }

    private static FormerListener WhenClosed(ClientListenerOptions listener) => new(listener.MaxStanzaBytes, listener.Web?.Ping);

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
        AdmitTimeout = _options.Limits.LoginTimeout,
        CloseRate = _options.CloseRate,
        Buffers = _options.Buffers with { UnadmittedBytes = LimitOptions.BytesWaitingBeforeLogin },
        LookInterval = LimitOptions.StanzaTimeout,
        Liveness = _options.Liveness,
    };
}
