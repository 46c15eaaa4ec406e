using System.Net;
using System.Net.Sockets;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>
/// Many connections to one server, on the reactors of the service itself: 40 bytes each while nothing happens, and 190 more with TLS.
/// </summary>
/// <remarks>Opening is for the run's driver alone; sending and ending are thread-safe.</remarks>
internal sealed class TcpClients : IConnectionHandler<TcpClient>, IDisposable
{
    /// <summary>Connections that are being opened at the same time; more would overrun the server's queues.</summary>
    private const int MaxOpening = 512;

    /// <summary>The same with TLS, which takes some 50 KB for each until its handshake is done.</summary>
    private const int MaxSecuring = 128;

    /// <summary>Descriptors for everything that is no connection.</summary>
    public const int OtherDescriptors = 64;

    private const int Owner = 1;
    private const int ReceiveBytes = 64 << 10;

    private readonly TcpOptions _options;
    private readonly ITcpHandler _handler;
    private readonly ConnectionId[] _ids;
    private readonly byte[] _header;
    private readonly ConnectionOpener.Opened _opened;
    private readonly TlsHandshakes.Ended _secured;
    private ConnectionOpener? _opener;
    private TlsClientContext? _tls;
    private TlsHandshakes? _handshakes;
    private Reactor<TcpClient>[] _reactors = [];
    private NativeAddress _to;
    private bool _stopped;

    /// <summary>Reserves room for connections.</summary>
    /// <param name="options">How they are opened.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="handler">What is done with them.</param>
    /// <param name="header">The stream header that STARTTLS begins with.</param>
    public TcpClients(TcpOptions options, int count, ITcpHandler handler, byte[] header)
    {
        _options = options;
        _handler = handler;
        _ids = new ConnectionId[count];
        _header = header;
        _opened = options.Tls is null ? OnOpened : Secure;
        _secured = OnSecured;
    }

    /// <summary>Whether another connection may be opened now.</summary>
    public bool HasRoom => Opening < (_handshakes is null ? MaxOpening : MaxSecuring);

    /// <summary>Connections that are being opened.</summary>
    public int Opening => _opener!.Pending + (_handshakes?.Pending ?? 0);

    /// <summary>Starts the reactors.</summary>
    /// <exception cref="IOException">The server has no address, this machine does not allow as many connections, or TLS cannot be used.</exception>
    public void Start()
    {
        ulong limit = OpenFileLimit.RaiseToHard();
        if ((ulong)_ids.Length + OtherDescriptors > limit)
        {
            throw new IOException(
                $"{_ids.Length} connections need as many descriptors and {OtherDescriptors} more, and this process may have {limit}; "
                + "raise its hard limit (ulimit -Hn, LimitNOFILE), or use more processes");
        }

        IPEndPoint to = Resolve(_options.To);
        _to = new NativeAddress(to);
        _opener = new ConnectionOpener(to, _options.From ?? (IPAddress.IsLoopback(to.Address) && _to.IsV4 ? SourceAddresses.Loopback : null));
        if (_options.Tls is { } tls)
        {
            _tls = new TlsClientContext(tls);
            _handshakes = new TlsHandshakes(_tls, tls.IsNegotiated ? _header : null, MaxSecuring);
        }

        ReactorOptions options = new()
        {
            Name = "bench",
            Reactors = _options.Reactors,

            // What is measured is how long the other side takes.
            CoalescesEvents = false,
            MaxConnections = _ids.Length,
            HalfOpenTimeout = TimeSpan.FromMinutes(1),
            Buffers = new BufferOptions(),
            Liveness = new TcpLivenessOptions(),
        };
        RoleMetrics metrics = new(Role.Ecm);
        _reactors = new Reactor<TcpClient>[_options.Reactors];
        for (int i = 0; i < _reactors.Length; i++)
            _reactors[i] = new Reactor<TcpClient>(i, _ids.Length, this, accepted: null, outgoing: null, options, metrics);
        foreach (Reactor<TcpClient> reactor in _reactors) reactor.Start();
    }

    /// <summary>Begins to open a connection; <see cref="HasRoom"/> must hold.</summary>
    public void Open(int index) => _opener!.Begin(index, _opened);

    /// <summary>Takes in the connections that are established.</summary>
    public void Poll()
    {
        _opener?.Poll(_opened);
        _handshakes?.Poll(_secured);
    }

    /// <summary>Sends; what a closed connection is given is dropped.</summary>
    public void Send(int index, ReadOnlySpan<byte> bytes) => ConnectionsOf(index).Send(_ids[index], Owner, bytes);

    /// <summary>Ends the stream to the server.</summary>
    public void EndWrite(int index) => ConnectionsOf(index).EndWrite(_ids[index], Owner);

    /// <summary>Closes all connections, without a word to the handler.</summary>
    public void Stop()
    {
        if (_stopped) return;
        _stopped = true;
        foreach (Reactor<TcpClient> reactor in _reactors) reactor.Stop();
        foreach (Reactor<TcpClient> reactor in _reactors) reactor.Dispose();
        _opener?.Dispose();
        _handshakes?.Dispose();
        _tls?.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => Stop();

    /// <inheritdoc/>
    public Outcome OnReadable(ConnectionId id, int owner, ref TcpClient state, IConnectionInput input)
    {
        Span<byte> bytes = input.Receive(ReceiveBytes);
        if (!bytes.IsEmpty) _handler.Received(state.Index, bytes);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public Outcome OnPeerHalfClosed(ConnectionId id, int owner, ref TcpClient state)
    {
        _handler.Received(state.Index, []);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public Outcome OnWritePressureChanged(ConnectionId id, int owner, ref TcpClient state, bool isHigh) => Outcome.Done;

    /// <inheritdoc/>
    public Outcome OnClosed(ConnectionId id, int owner, ref TcpClient state, CloseReason reason)
    {
        _handler.Closed(state.Index, wasConnected: true, reason == CloseReason.Ended ? null : $"a connection was lost: {Label.Of(reason)}");
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public void OnBatchEnd()
    {
        // What clients answered has gone to the descriptors already.
    }

    private ConnectionRequests<TcpClient> ConnectionsOf(int index) => _reactors[_ids[index].Reactor].Connections;

    private void OnOpened(int index, int descriptor, string? problem)
    {
        TlsConnectionState none = default;
        OnSecured(index, descriptor, ref none, problem);
    }

    private void Secure(int index, int descriptor, string? problem)
    {
        if (problem is null) _handshakes!.Begin(index, descriptor);
        else _handler.Closed(index, wasConnected: false, problem);
    }

    private void OnSecured(int index, int descriptor, ref TlsConnectionState tls, string? problem)
    {
        if (problem is null)
        {
            Reactor<TcpClient> reactor = _reactors[index % _reactors.Length];
            if (reactor.Connections.Add(descriptor, Owner, new TcpClient { Index = index }, ref tls, out _ids[index]) is { } refusal)
                problem = $"no connection: {Label.Of(refusal)}";
        }

        if (problem is null) _handler.Connected(index);
        else _handler.Closed(index, wasConnected: false, problem);
    }

    /// <summary>The first address of a host, and the port.</summary>
    /// <exception cref="IOException">The host has no address.</exception>
    public static IPEndPoint Resolve(HostPort host)
    {
        try
        {
            return new IPEndPoint(host.Address ?? Dns.GetHostAddresses(host.Host)[0], host.Port);
        }
        catch (SocketException failure)
        {
            throw new IOException($"{host.Host} has no address: {failure.Message}", failure);
        }
    }
}
