using System.Net;
using System.Net.Sockets;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Takes links from one listening socket.</summary>
/// <remarks>
/// At most <c>maxLinks</c> at a time. When there are so many, one that has never said a packet gives way to a new one, so that silent
/// connections cannot keep an ECM out: the oldest from the address that has the most of them, so that they cannot put one out either.
/// </remarks>
internal sealed class LinkListener : IDisposable
{
    private const int RestMilliseconds = 100;

    private readonly Socket _socket;
    private readonly int _maxLinks;
    private readonly LinkOptions _options;
    private readonly Func<ILinkHandler> _handlers;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly LinkTls? _tls;
    private readonly Admission _admission;
    private readonly LinkedList<LinkConnection> _links = new();
    private volatile bool _closed;

    /// <summary>Binds and begins to accept; each link gets a handler of its own.</summary>
    /// <exception cref="IOException">The address cannot be bound; the message says why.</exception>
    public LinkListener(
        IPEndPoint endPoint,
        int maxLinks,
        LinkOptions options,
        Func<ILinkHandler> handlers,
        RoleMetrics metrics,
        LinkLog log,
        LinkTls? tls = null)
    {
        _maxLinks = maxLinks;
        _options = options;
        _handlers = handlers;
        _metrics = metrics;
        _log = log;
        _tls = tls;
        _admission = new Admission(log);
        _socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // "[::]" takes IPv4 too, as it does for clients.
            if (endPoint.Address.Equals(IPAddress.IPv6Any)) _socket.DualMode = true;

            // Nothing is set for reuse: .NET lets a port be bound again that was used a moment ago, and its ReuseAddress would
            // set SO_REUSEPORT too, with which a second process takes half of the links instead of being told.
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

    /// <summary>The links that are there now.</summary>
    public LinkConnection[] Connections()
    {
        lock (_links) return [.. _links];
    }

    /// <summary>Accepts no more links. Those that are there stay. May be called again, to sum up what has not been logged of them.</summary>
    public void Dispose()
    {
        _closed = true;
        _socket.Dispose();
        _admission.Dispose();
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

                // Away from the socket engine's thread, which has links to serve: while many wait to be accepted none of this waits for anything.
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
                if (!failing && _admission.Lines.TryPass(LinkLine.NotAccepted)) _log.AcceptFailed(e.Message);
                failing = true;
                await Task.Delay(RestMilliseconds).ConfigureAwait(false);
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
            connection = new LinkConnection(socket, LinkOrigin.Accepted, _options, _handlers(), _metrics, _log, _tls, _admission);
        }
        catch (SocketException)
        {
            // Gone before it began: a connect and reset, or a port scan.
            socket.Dispose();
            return;
        }

        if (!TryAdd(connection, out LinkedListNode<LinkConnection>? node))
        {
            Reject(connection);
            connection.Dispose();
            return;
        }

        await connection.RunAsync(Timeout.InfiniteTimeSpan).ConfigureAwait(false);
        connection.Dispose();
        lock (_links)
        {
            if (node.List is not null) _links.Remove(node);
            _admission.Silent.Remove(connection);
        }
    }

    private bool TryAdd(LinkConnection connection, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out LinkedListNode<LinkConnection>? node)
    {
        LinkConnection? silent = null;
        lock (_links)
        {
            node = null;
            _admission.Silent.Add(connection, connection.Address);
            if (_links.Count >= _maxLinks)
            {
                // It may be the new one itself, where all others are up.
                if (!_admission.Silent.TryTakeOne(out silent) || silent == connection) return false;
                _links.Remove(silent);
            }

            node = _links.AddLast(connection);
        }

        if (silent is not null)
        {
            Reject(silent);
            silent.Close("it had said nothing, and its place was needed");
        }

        return true;
    }

    private void Reject(LinkConnection connection)
    {
        _metrics.AddRefused(RefusalReason.TooMany);
        if (_admission.Lines.TryPass(LinkLine.TooMany)) _log.TooMany(connection.Peer, _maxLinks);
    }
}
