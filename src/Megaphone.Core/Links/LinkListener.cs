using System.Net;
using System.Net.Sockets;
using Megaphone.Handover;
using Megaphone.Metrics;
using Megaphone.Unix;

namespace Megaphone.Links;

/// <summary>Accepts links on one listening socket.</summary>
/// <remarks>
/// At most <c>maxLinks</c> at a time, those that are cut included. At that limit a new connection evicts one whose link is not up, so that silent
/// connections cannot keep an ECM out: the oldest one of the address that has the most, so that they cannot evict an ECM's either. For each link
/// that can be resumed there is room for one more connection, on which it may come back before its last one is found dead.
/// </remarks>
internal sealed class LinkListener : IDisposable
{
    private const int BackoffMilliseconds = 100, Backlog = 1024;

    private static readonly TimeSpan SuspendStep = TimeSpan.FromMilliseconds(1);

    private readonly Socket _socket;
    private readonly string? _path;
    private readonly int _maxLinks;
    private readonly LinkOptions _options;
    private readonly Func<ILinkHandler> _handlers;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly LinkTls? _tls;
    private readonly PreAuthLimits _preAuth;
    private readonly LinkRegistry _registry;
    private readonly LinkedList<LinkConnection> _links = new();
    private CancellationTokenSource _suspended = new();
    private Task _accepting = Task.CompletedTask;
    private volatile bool _isSuspended = true;
    private volatile bool _closed;

    /// <summary>Binds; nothing is accepted before <see cref="Start"/>. Each link gets a handler of its own. <c>inherited</c> is a
    /// socket that was handed over and listens there: then nothing is bound. <c>mode</c> is that of a Unix socket's file.</summary>
    /// <exception cref="IOException">The address cannot be bound; the message says why.</exception>
    public LinkListener(
        EndPoint endPoint,
        int maxLinks,
        LinkOptions options,
        Func<ILinkHandler> handlers,
        RoleMetrics metrics,
        LinkLog log,
        LinkTls? tls = null,
        TimeSpan resumeTimeout = default,
        Socket? inherited = null,
        UnixFileMode mode = default)
    {
        _maxLinks = maxLinks;
        _registry = new LinkRegistry(maxLinks, resumeTimeout);
        _options = options;
        _handlers = handlers;
        _metrics = metrics;
        _log = log;
        _tls = tls;
        _preAuth = new PreAuthLimits(log, _registry);
        _path = (endPoint as UnixEndPoint)?.Path;
        _socket = inherited ?? (_path is null ? Bind((IPEndPoint)endPoint) : Bind(_path, mode));
        Listening = _path is null ? _socket.LocalEndPoint! : endPoint;
    }

    /// <summary>The real address and port.</summary>
    public EndPoint Listening { get; }

    /// <summary>The socket's descriptor.</summary>
    public int Descriptor => (int)_socket.Handle;

    /// <summary>The links that can be resumed, and how each is found.</summary>
    public IReadOnlyDictionary<Link, LinkRegistration> Registrations => _registry.Registrations();

    /// <summary>Accepts links; once more after <see cref="SuspendAsync"/>. Those that are cut wait for as long as was agreed.</summary>
    public void Start()
    {
        lock (_links)
        {
            if (!_isSuspended) return;
            _isSuspended = false;
        }

        foreach (Link link in _registry.Cut()) link.ReleaseHold();
        _accepting = AcceptAsync(_suspended.Token);
    }

    /// <inheritdoc cref="LinkConnection.ExpectStandstill"/>
    public void ExpectStandstill()
    {
        foreach (LinkConnection connection in Connections()) connection.ExpectStandstill();
    }

    /// <summary>Stands still until <see cref="Start"/>: links are cut, and wait for as long as it takes; those that cannot be resumed are over.
    /// Those who connect meanwhile are held by the kernel.</summary>
    /// <returns>Completes when nothing of any connection is under way.</returns>
    public async Task SuspendAsync()
    {
        lock (_links) _isSuspended = true;
        await _suspended.CancelAsync().ConfigureAwait(false);
        await _accepting.ConfigureAwait(false);
        for (LinkConnection[] left = Connections(); left.Length > 0; left = Connections())
        {
            foreach (LinkConnection connection in left) connection.Suspend();
            await Task.Delay(SuspendStep).ConfigureAwait(false);
        }

        while (!_registry.TryHoldAll()) await Task.Delay(SuspendStep).ConfigureAwait(false);
        _suspended.Dispose();
        _suspended = new CancellationTokenSource();
    }

    /// <summary>Reads a link that was handed over.</summary>
    /// <param name="reader">The state: its <see cref="LinkRegistration"/>, and what <see cref="Link.Save"/> has written.</param>
    /// <param name="handler">Receives its packets.</param>
    /// <param name="peer">The address that was at its other end.</param>
    /// <returns>The link, which is cut.</returns>
    /// <exception cref="StateException">It cannot be.</exception>
    public Link Restore(StateReader reader, ILinkHandler handler, string peer)
    {
        LinkRegistration registration = LinkRegistration.Restore(reader);
        Link link = Link.Restore(reader, handler, _options, _metrics, new LinkConnectionLog(peer, _log, _preAuth.Log));
        reader.Check(_registry.TryRestore(link, registration), "a link that is there twice");
        return link;
    }

    /// <summary>The connections that are there now.</summary>
    public LinkConnection[] Connections()
    {
        lock (_links) return [.. _links];
    }

    /// <summary>Ends the links that are cut: they are not waited for any more.</summary>
    public void LoseCut(string reason)
    {
        foreach (Link link in _registry.Cut()) link.Lose(reason);
    }

    /// <summary>Accepts no more links. Existing ones stay. May be called again, to log how many of their lines were suppressed.</summary>
    public void Dispose()
    {
        lock (_links) _closed = true;
        _socket.Dispose();
        if (_path is not null) UnixPath.Remove(_path);
        _preAuth.Dispose();
    }

    private static Socket Bind(string path, UnixFileMode mode)
    {
        try
        {
            return new Socket(new SafeSocketHandle(UnixPath.Listen(path, mode, Backlog), ownsHandle: true));
        }
        catch (IOException e)
        {
            throw new IOException($"cannot listen on {UnixEndPoint.Prefix}{path}: {e.Message}");
        }
    }

    private static Socket Bind(IPEndPoint endPoint)
    {
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // "[::]" accepts IPv4 too, as it does for clients.
            if (endPoint.Address.Equals(IPAddress.IPv6Any)) socket.DualMode = true;

            // ReuseAddress is not set: .NET allows a recently used port to be bound again anyway, and its ReuseAddress would
            // set SO_REUSEPORT too, with which a second process gets half of the links instead of an error.
            socket.Bind(endPoint);
            socket.Listen(Backlog);
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"cannot listen on {endPoint}: {e.Message}");
        }
    }

    private async Task AcceptAsync(CancellationToken suspended)
    {
        bool failing = false;
        while (!_closed)
        {
            try
            {
                Socket socket = await _socket.AcceptAsync(suspended).ConfigureAwait(false);
                failing = false;

                // Leave the socket engine's thread, which serves links: while connections are queued, AcceptAsync completes synchronously.
                await Task.Yield();
                _ = RunAsync(socket);
            }
            catch (Exception ended) when (ended is ObjectDisposedException or OperationCanceledException)
            {
                return;
            }
            catch (SocketException e) when (!_closed)
            {
                if (e.SocketErrorCode == SocketError.TooManyOpenSockets) _metrics.AddRefused(RefusalReason.Descriptors);
                if (!failing && _preAuth.Log.TryPass(LinkEvent.NotAccepted)) _log.AcceptFailed(e.Message);
                failing = true;
                await Task.Delay(BackoffMilliseconds, suspended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (SocketException)
            {
                return;
            }
        }
    }

    private async Task RunAsync(Socket socket)
    {
        LinkConnection connection;
        try
        {
            connection = new LinkConnection(socket, LinkOrigin.Accepted, _options, _handlers(), _metrics, _log, _tls, _preAuth);
        }
        catch (SocketException)
        {
            // Gone before it was set up: a connect and reset, as of a port scan.
            socket.Dispose();
            return;
        }

        if (!TryAdd(connection, out LinkedListNode<LinkConnection>? node))
        {
            if (!_closed && !_isSuspended) Reject(connection);
            connection.Dispose();
            return;
        }

        await connection.RunAsync(Timeout.InfiniteTimeSpan).ConfigureAwait(false);
        if (connection.Link is { IsCut: true } link) _registry.OnCut(link);
        connection.Dispose();
        lock (_links)
        {
            if (node.List is not null) _links.Remove(node);
            _preAuth.Pending.Remove(connection);
        }
    }

    private bool TryAdd(LinkConnection connection, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out LinkedListNode<LinkConnection>? node)
    {
        LinkConnection? evicted = null;
        lock (_links)
        {
            node = null;

            // Whoever has closed the listener drains the connections that there were, and no others.
            if (_closed || _isSuspended) return false;
            _preAuth.Pending.Add(connection, connection.Address);
            if (_links.Count >= _registry.MaxConnections)
            {
                // It may be the new one itself, if all others are up.
                if (!_preAuth.Pending.TryEvict(out evicted) || evicted == connection) return false;
                _links.Remove(evicted);
            }

            node = _links.AddLast(connection);
        }

        if (evicted is not null)
        {
            Reject(evicted);
            evicted.Close("evicted before it was up, because MaxLinks was reached");
        }

        return true;
    }

    private void Reject(LinkConnection connection)
    {
        _metrics.AddRefused(RefusalReason.TooMany);
        if (_preAuth.Log.TryPass(LinkEvent.TooMany)) _log.TooMany(connection.Peer, _maxLinks);
    }
}
