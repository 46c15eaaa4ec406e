using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>
/// Accepts the clients of listeners with TLS, or behind proxies, and has its threads take them through the PROXY header
/// (<see cref="ProxyNegotiation"/>), STARTTLS (<see cref="StartTlsNegotiation"/>) and the handshake (<see cref="HandshakeStep"/>). The reactors see
/// a client only after that.
/// </summary>
/// <remarks>
/// <para>The threads share one epoll instance in which every descriptor is armed for one event at a time, so that one thread
/// handles a client until it arms it again. The costly steps of a handshake delay only other handshakes.</para>
/// <para>There are at most <see cref="EcmTlsOptions.MaxHandshakes"/> pending handshakes; further clients wait in the listeners' backlogs, and those
/// who take their time give way to them.</para>
/// </remarks>
internal sealed unsafe class TlsAcceptor : IDisposable
{
    private const ulong WakerData = 0;
    private const int ReadBytes = 4096;
    private const int BackoffMilliseconds = 100;

    /// <summary>After so many handshakes it pays to give back what they have needed.</summary>
    private const int ManyHandshakes = 256;

    /// <summary>The least time between two such moments.</summary>
    private const int GiveBackMilliseconds = 5_000;

    private readonly EcmOptions _options;
    private readonly TlsServer? _server;
    private readonly ReactorGroup<EcmClient> _clients;
    private readonly RoleMetrics _metrics;
    private readonly ClientLimits _limits;
    private readonly Epoll _epoll = new();
    private readonly Waker _waker = new();
    private readonly PendingHandshakes _pending;
    private readonly PendingSockets _sockets;
    private readonly StartTlsNegotiation _startTls;
    private readonly HandshakeStep? _handshake;
    private readonly ProxyNegotiation _proxy;
    private readonly ulong _firstListener;
    private readonly List<Acceptor> _acceptors = [];
    private readonly List<Acceptor.Accepted> _onAccepted = [];
    private readonly Lock _accepting = new();
    private readonly Thread?[] _threads;
    private long _gaveBackAt = Environment.TickCount64 - GiveBackMilliseconds;
    private int _accepted;
    private volatile bool _stopping;

    /// <summary>Makes the acceptor; nothing runs before <see cref="Start"/>.</summary>
    public TlsAcceptor(
        EcmOptions options, EcmTlsOptions tls, TlsServer? server, ReactorGroup<EcmClient> clients, ClientLimits limits, RoleMetrics metrics,
        EcmLog log)
    {
        (_options, _server, _clients, _limits, _metrics) = (options, server, clients, limits, metrics);
        StreamSplitter splitter = new(new PieceMemory((long)tls.MaxHandshakes * StartTlsDialogue.MaxPieceBytes));
        _pending = new PendingHandshakes(tls.MaxHandshakes, tls.HandshakeTimeout);
        _sockets = new PendingSockets(_epoll, _pending, ArmListener, splitter, clients, metrics);
        _startTls = new StartTlsNegotiation(_sockets, splitter, metrics);
        _handshake = server is null ? null : new HandshakeStep(tls, options.Clients, server, _pending, _sockets, clients, metrics, log);
        _proxy = new ProxyNegotiation(options.Clients, _sockets, clients, metrics);
        _firstListener = (ulong)tls.MaxHandshakes + 1;
        _threads = new Thread?[Environment.ProcessorCount];
        _epoll.Add(_waker.Descriptor, Libc.EpollIn, WakerData);
    }

    /// <summary>Binds a listener. Before <see cref="Start"/>.</summary>
    /// <param name="number">Its index in the configuration.</param>
    /// <param name="listener">Its settings; with TLS or proxies.</param>
    /// <param name="inherited">A socket that listens there already; below 0: none.</param>
    /// <param name="givesWay">Is asked when no descriptor is left for a client.</param>
    /// <returns>The listener.</returns>
    /// <exception cref="ListenException">It cannot be bound.</exception>
    public Acceptor Listen(int number, ClientListenerOptions listener, int inherited, Acceptor.GivesWay givesWay)
    {
        Acceptor acceptor = new(
            number, listener.Listen, _options.Backlog, _options.Liveness, _metrics, inherited, listener.SocketMode, givesWay);
        _acceptors.Add(acceptor);
        NetworkList proxies = new(listener.ProxyFrom);
        _onAccepted.Add((int descriptor, in NativeAddress peer, int number) => OnAccepted(
            listener.Tls, descriptor, peer, number, peer.IsUnix ? listener.ProxyFromUnix : proxies.Contains(peer)));
        _epoll.Add(acceptor.Descriptor, 0, EpollDataOf(_acceptors.Count - 1));
        return acceptor;
    }

    /// <summary>Starts the threads, unless they run; once more after <see cref="Suspend"/>.</summary>
    public void Start()
    {
        if (_threads[0] is { IsAlive: true }) return;
        _waker.Reset();
        _stopping = false;
        for (int i = 0; i < _acceptors.Count; i++) ArmListener(i);
        for (int i = 0; i < _threads.Length; i++)
        {
            Thread thread = new(Run, 256 << 10) { Name = $"tls {i}", IsBackground = true };
            _threads[i] = thread;
            thread.Start();
        }
    }

    /// <summary>Ends the threads behind what they are doing, until <see cref="Start"/>. Pending clients wait.</summary>
    public void Suspend()
    {
        _stopping = true;
        _waker.Signal();
        foreach (Thread? thread in _threads) thread?.Join();
    }

    /// <summary>No descriptor is left for a client who has connected: has one give way who is before or in its handshake. Any thread.</summary>
    /// <returns>Whether there is one.</returns>
    public bool TryMakeRoom(in NativeAddress peer)
    {
        if (!_pending.TryEvict(_limits, Math.Max(ClientLimits.FewOfAddress, _limits.NotLoggedIn(peer)))) return false;
        _metrics.AddLimited(Limit.Descriptors);
        return true;
    }

    /// <summary>The clients before and in their handshake.</summary>
    public int Pending => _pending.Left().Length;

    /// <summary>Stops the threads, and closes the listeners and the pending clients.</summary>
    public void Dispose()
    {
        Suspend();

        // No listener is to accept again for the places that become free.
        foreach (Acceptor acceptor in _acceptors) acceptor.Dispose();
        foreach (PendingHandshake client in _pending.Left()) _sockets.Drop(client, HandshakeEnd.Dropped);
        _pending.Dispose();
        _epoll.Dispose();
        _waker.Dispose();
    }

    /// <summary>Listeners follow the pending clients.</summary>
    private ulong EpollDataOf(int listener) => _firstListener + (ulong)listener;

    private void ArmListener(int index)
    {
        if (!_stopping) _epoll.Change(_acceptors[index].Descriptor, Libc.EpollIn | Libc.EpollOneShot, EpollDataOf(index));
    }

    private void Run()
    {
        byte* buffer = stackalloc byte[ReadBytes];
        Span<byte> bytes = new(buffer, ReadBytes);
        EpollEvent one;
        while (!_stopping)
        {
            if (_pending.IsAwaited) MakeRoom();

            // One event at a time: a second one would wait for as long as a handshake step takes, while another thread may be idle.
            int wait = _pending.MillisecondsUntilTimeout();
            if (wait < 0) wait = GiveBackMemory();
            bool looks = _acceptors.Exists(static acceptor => acceptor.HasAwaiting);
            if (looks && (wait < 0 || wait > Acceptor.NextLook)) wait = Acceptor.NextLook;
            int count = _epoll.Wait(&one, 1, wait);
            if (looks) TakeFreed();
            _pending.Expire();
            if (count == 0 || one.Data == WakerData) continue;
            if (one.Data >= _firstListener) Accept((int)(one.Data - _firstListener));
            else Handle(_pending[(int)one.Data - 1], bytes);
        }
    }

    private void Accept(int index)
    {
        bool mustWait, mustBackOff;
        lock (_accepting)
        {
            mustBackOff = !_acceptors[index].TryAccept(_onAccepted[index], _pending.Room);
            mustWait = _pending.MustWait(index);
        }

        if (mustWait)
        {
            _metrics.AddLimited(Limit.MaxHandshakes);
            return;
        }

        if (mustBackOff) Thread.Sleep(BackoffMilliseconds);
        ArmListener(index);
    }

    /// <summary>Goes on with clients that have waited for a descriptor.</summary>
    private void TakeFreed()
    {
        lock (_accepting)
        {
            for (int i = 0; i < _acceptors.Count; i++) _acceptors[i].TakeFreed(_onAccepted[i], _pending.Room);
        }
    }

    /// <summary>All places are in use. Where somebody waits for one, somebody else gives way.</summary>
    private void MakeRoom()
    {
        if (_acceptors.Exists(acceptor => acceptor.IsAwaited) && _pending.TryEvict(_limits)) _metrics.AddLimited(Limit.SlowHandshake);
    }

    private void OnAccepted(ClientTls mode, int descriptor, in NativeAddress peer, int listener, bool isProxied)
    {
        // Whom a proxy brings is known, and counted, when its header is there.
        if (!isProxied && !_clients.TryArrive(descriptor, peer, listener)) return;
        if (!isProxied && mode == ClientTls.None)
        {
            AcceptedTls none = default;
            _clients.Accept(descriptor, peer, listener, ref none);
            _clients.Flush();
            return;
        }

        _metrics.AddHandshaking(1);
        Interlocked.Increment(ref _accepted);
        StartTlsDialogue? dialogue = mode == ClientTls.StartTls ? new StartTlsDialogue(FindHost) : null;
        _sockets.Watch(_pending.Add(descriptor, peer, listener, dialogue, isProxied));
    }

    /// <summary>
    /// Nobody is pending. What OpenSSL and the collected heap keep of many handshakes would be a few hundred bytes for each client that stays.
    /// </summary>
    /// <returns>Milliseconds until it is to be called again; -1: not before there have been many once more.</returns>
    private int GiveBackMemory()
    {
        if (Volatile.Read(ref _accepted) < ManyHandshakes) return -1;
        long wait = Volatile.Read(ref _gaveBackAt) + GiveBackMilliseconds - Environment.TickCount64;
        if (wait > 0) return (int)wait;
        if (Interlocked.Exchange(ref _accepted, 0) < ManyHandshakes) return -1;
        Volatile.Write(ref _gaveBackAt, Environment.TickCount64);
        _ = Libc.TrimHeap(0);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return -1;
    }

    private string? FindHost(string host) => HostName.Normalize(host) is { } name && _server!.Covers(name) ? name : null;

    /// <summary>Handles a pending client whose socket is readable or writable.</summary>
    private void Handle(PendingHandshake client, Span<byte> buffer)
    {
        lock (client)
        {
            client.HasSpoken = true;
            if (client.Rejected) _sockets.Discard(client, buffer);
            else if (client.AwaitsProxyHeader) _proxy.Handle(client);
            else if (client.Dialogue is { } dialogue) _startTls.Handle(client, dialogue, buffer);
            else _handshake!.Advance(client);
        }
    }
}
