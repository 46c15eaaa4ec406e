using System.Net;
using System.Net.Sockets;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Takes links from one listening socket.</summary>
/// <remarks>
/// At most <c>maxLinks</c> at a time. When there are so many, a new one takes the place of the oldest that has never said
/// a packet, so that silent connections cannot keep an ECM out.
/// </remarks>
internal sealed class LinkListener : IDisposable
{
    private const int RestMilliseconds = 100;
    private const int TellInterval = 30_000;

    private readonly Socket _socket;
    private readonly int _maxLinks;
    private readonly LinkOptions _options;
    private readonly Func<ILinkHandler> _handlers;
    private readonly RoleMetrics _metrics;
    private readonly LinkLog _log;
    private readonly LinkTls? _tls;
    private readonly LinkedList<Link> _links = new();
    private volatile bool _closed;
    private long _tellAgain;

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
    public Link[] Links()
    {
        lock (_links) return [.. _links];
    }

    /// <summary>Accepts no more links. Those that are there stay.</summary>
    public void Dispose()
    {
        _closed = true;
        _socket.Dispose();
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
                _ = RunAsync(socket);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e) when (!_closed)
            {
                if (e.SocketErrorCode == SocketError.TooManyOpenSockets) _metrics.AddRefused(RefusalReason.Descriptors);
                if (!failing) _log.AcceptFailed(e.Message);
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
        Link link;
        try
        {
            link = new Link(socket, LinkPhase.AwaitingFirstPacket, _options, _handlers(), _metrics, _log, _tls);
        }
        catch (SocketException)
        {
            // Gone before it began: a connect and reset, or a port scan.
            socket.Dispose();
            return;
        }

        if (!TryAdd(link, out LinkedListNode<Link>? node))
        {
            _metrics.AddRefused(RefusalReason.TooMany);
            TellTooMany(link.Peer);
            link.Dispose();
            return;
        }

        await link.RunAsync(Timeout.InfiniteTimeSpan).ConfigureAwait(false);
        link.Dispose();
        lock (_links)
        {
            if (node.List is not null) _links.Remove(node);
        }
    }

    /// <summary>Tells it, but not again for a while: whoever is turned away comes again and again.</summary>
    private void TellTooMany(string peer)
    {
        long now = Environment.TickCount64;
        long again = Volatile.Read(ref _tellAgain);
        if (now >= again && Interlocked.CompareExchange(ref _tellAgain, now + TellInterval, again) == again)
            _log.TooMany(peer, _maxLinks);
    }

    private bool TryAdd(Link link, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out LinkedListNode<Link>? node)
    {
        Link? silent = null;
        lock (_links)
        {
            node = null;
            if (_links.Count >= _maxLinks)
            {
                silent = _links.FirstOrDefault(other => other.Phase == LinkPhase.AwaitingFirstPacket);
                if (silent is null) return false;
                _links.Remove(silent);
            }

            node = _links.AddLast(link);
        }

        silent?.Close("it had said nothing, and its place was needed");
        return true;
    }
}
