using System.Net;
using System.Net.Sockets;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>Many connections to one server, on the reactors of the service itself: 40 bytes each while nothing happens.</summary>
/// <remarks>Opening is for the run's driver alone; sending and ending are thread-safe.</remarks>
internal sealed class TcpClients : IConnectionHandler<TcpClient>, IDisposable
{
    /// <summary>Connections that are being opened at the same time; more would overrun the server's queues.</summary>
    private const int MaxOpening = 512;

    /// <summary>Descriptors for everything that is no connection.</summary>
    public const int OtherDescriptors = 64;

    private const int Owner = 1;
    private const int ReceiveBytes = 64 << 10;

    private readonly TcpOptions _options;
    private readonly ITcpHandler _handler;
    private readonly ConnectionId[] _ids;
    private readonly ConnectionOpener.Opened _opened;
    private ConnectionOpener? _opener;
    private Reactor<TcpClient>[] _reactors = [];
    private NativeAddress _to;
    private bool _stopped;

    /// <summary>Reserves room for connections.</summary>
    public TcpClients(TcpOptions options, int count, ITcpHandler handler)
    {
        _options = options;
        _handler = handler;
        _ids = new ConnectionId[count];
        _opened = OnOpened;
    }

    /// <summary>Whether another connection may be opened now.</summary>
    public bool HasRoom => _opener!.Pending < MaxOpening;

    /// <summary>Whether connections are being opened.</summary>
    public bool IsOpening => _opener!.Pending > 0;

    /// <summary>Starts the reactors.</summary>
    /// <exception cref="IOException">The server has no address, or this machine does not allow as many connections.</exception>
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
    public void Poll() => _opener?.Poll(_opened);

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
    }

    /// <inheritdoc/>
    public void Dispose() => Stop();

    /// <inheritdoc/>
    public Outcome OnReadable(ConnectionId id, int owner, ref TcpClient state, IConnectionInput input)
    {
        ReadOnlySpan<byte> bytes = input.Receive(ReceiveBytes);
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
        if (problem is null)
        {
            Reactor<TcpClient> reactor = _reactors[index % _reactors.Length];
            if (reactor.Connections.Add(descriptor, Owner, new TcpClient { Index = index }, out _ids[index]) is { } refusal)
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
