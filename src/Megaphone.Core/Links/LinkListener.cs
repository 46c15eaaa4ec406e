using System.Net;
using System.Net.Sockets;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Accepts links on one listening socket.</summary>
/// <remarks>
/// At most <c>maxLinks</c> at a time, those that are cut included. At that limit a new connection evicts one whose link is not up, so that silent
/// connections cannot keep an ECM out: the oldest one of the address that has the most, so that they cannot evict an ECM's either. For each link
/// that can be resumed there is room for one more connection, on which it may come back before its last one is found dead.
/// </remarks>
internal sealed class LinkListener : IDisposable
{
    private const int BackoffMilliseconds = 100;

    private readonly Socket _socket;
    private readonly int _maxLinks;
    private readonly LinkOptions _options;
    private readonly Func<ILinkHandler> _handlers;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly LinkTls? _tls;
    private readonly PreAuthLimits _preAuth;
    private readonly LinkRegistry _registry;
    private readonly LinkedList<LinkConnection> _links = new();
    private volatile bool _closed;

    /// <summary>Binds and starts to accept; each link gets a handler of its own.</summary>
    /// <exception cref="IOException">The address cannot be bound; the message says why.</exception>
    public LinkListener(
        IPEndPoint endPoint,
        int maxLinks,
        LinkOptions options,
        Func<ILinkHandler> handlers,
        RoleMetrics metrics,
        LinkLog log,
        LinkTls? tls = null,
        TimeSpan resumeTimeout = default)
    {
        _maxLinks = maxLinks;
        _registry = new LinkRegistry(maxLinks, resumeTimeout);
        _options = options;
        _handlers = handlers;
        _metrics = metrics;
        _log = log;
        _tls = tls;
        _preAuth = new PreAuthLimits(log, _registry);
        _socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // "[::]" accepts IPv4 too, as it does for clients.
            if (endPoint.Address.Equals(IPAddress.IPv6Any)) _socket.DualMode = true;

            // ReuseAddress is not set: .NET allows a recently used port to be bound again anyway, and its ReuseAddress would
            // set SO_REUSEPORT too, with which a second process gets half of the links instead of an error.
            _socket.Bind(endPoint);
            _socket.Listen(1024);
        }
        catch (SocketException e)
        {
            _socket.Dispose();
            throw new IOException($"cannot listen on {endPoint}: {e.Message}");
        }

        Listening = (IPEndPoint)_socket.LocalEndPoint!;
        _ = AcceptAsync();
    }

    /// <summary>The real address and port.</summary>
    public IPEndPoint Listening { get; }

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
        _preAuth.Dispose();
    }

    private async Task AcceptAsync()
    {
        bool failing = false;
        while (!_closed)
        {
            try
            {
                Socket socket = await _socket.AcceptAsync().ConfigureAwait(false);
                failing = false;

                // Leave the socket engine's thread, which serves links: while connections are queued, AcceptAsync completes synchronously.
                await Task.Yield();
                _ = RunAsync(socket);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e) when (!_closed)
            {
                if (e.SocketErrorCode == SocketError.TooManyOpenSockets) _metrics.AddRefused(RefusalReason.Descriptors);
                if (!failing && _preAuth.Log.TryPass(LinkEvent.NotAccepted)) _log.AcceptFailed(e.Message);
                failing = true;
                await Task.Delay(BackoffMilliseconds).ConfigureAwait(false);
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
            if (!_closed) Reject(connection);
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
            if (_closed) return false;
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
