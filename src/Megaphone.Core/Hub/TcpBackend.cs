using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Hub;

/// <summary>A TCP server behind the hub: each session gets a connection of its own to it.</summary>
/// <remarks>
/// What the client sends is written to the socket on the receiver's thread; what the server sends is read by a reactor and
/// written into the ring of the session's link.
/// </remarks>
internal sealed class TcpBackend
    : ISessionBackend, IConnectionHandler<BackendConnection>, IConnectHandler<BackendConnection>, IStateKeeper<BackendConnection>
{
    private const int WarningIntervalSeconds = 30;

    private readonly SessionLifecycle _sessions;
    private readonly HubLog _log;
    private readonly string _name;
    private readonly BackendAddresses _addresses;
    private readonly ReactorGroup<BackendConnection> _reactors;
    private readonly bool _tracksIdle;
    private readonly LogLimiter _warnings;

    /// <summary>Makes the reactors; nothing runs before <see cref="Start"/>.</summary>
    /// <param name="backends">The configured backends.</param>
    /// <param name="sessions">The hub's sessions.</param>
    /// <param name="log">The hub's log.</param>
    /// <param name="least">See <see cref="ReactorGroup{TState}"/>.</param>
    /// <exception cref="IOException">There are no descriptors for them.</exception>
    public TcpBackend(IReadOnlyList<HostPort> backends, SessionLifecycle sessions, HubLog log, int least)
    {
        HubOptions options = sessions.Options;
        _sessions = sessions;
        _log = log;
        _name = string.Join(", ", backends);
        _warnings = new LogLimiter(
            1, TimeSpan.FromSeconds(WarningIntervalSeconds), count => log.BackendFailedMore(_name, count, WarningIntervalSeconds));
        _tracksIdle = options.IdleTimeout is not null;
        _addresses = new BackendAddresses(backends, log);
        sessions.Metrics.Servers = _addresses.Status;
        ReactorOptions reactors = new()
        {
            Name = "hub",
            Reactors = options.Reactors,
            MaxConnections = options.MaxSessions,
            HalfOpenTimeout = options.HalfOpenTimeout,
            ConnectTimeout = options.ConnectTimeout,
            Buffers = options.Buffers,
            Liveness = options.Liveness,
        };
        _reactors = new ReactorGroup<BackendConnection>(this, reactors, sessions.Metrics, outgoing: this, least: least);
    }

    /// <inheritdoc/>
    public void Start()
    {
        _addresses.Start();
        _reactors.Start();
    }

    /// <inheritdoc/>
    public void Park() => _reactors.Park();

    /// <inheritdoc/>
    public void Save(StateWriter writer)
    {
        _addresses.Save(writer);
        _reactors.Save(writer, this);
    }

    /// <inheritdoc/>
    public void Restore(StateReader reader)
    {
        _addresses.Restore(reader);
        _reactors.Restore(reader, this, []);
    }

    /// <inheritdoc/>
    public CloseReason? Open(HubLink link, ulong id, out ConnectionId connection)
    {
        connection = default;
        if (!_addresses.TryStart(out BackendAttempts attempts, out NativeAddress first)) return CloseReason.BackendUnresolved;
        BackendConnection state = new() { Id = id, LinkIndex = link.Index, Life = SessionLife.OpenedByPeer(), Attempts = attempts };
        if (_reactors.TryConnect(first, link.Link.Number, state, out connection)) return null;
        _addresses.Release(ref attempts);
        return CloseReason.TooManySessions;
    }

    /// <inheritdoc/>
    public Outcome Send(in HubSession session, ReadOnlySpan<byte> content) =>
        _reactors.Send(session.Connection, OwnerOf(session), content) ? Outcome.Done : Outcome.Closed;

    /// <inheritdoc/>
    public Outcome EndInput(in HubSession session) =>
        _reactors.EndWrite(session.Connection, OwnerOf(session)) ? Outcome.Done : Outcome.Closed;

    /// <inheritdoc/>
    public void Pause(in HubSession session, bool pause) => _reactors.PauseReading(session.Connection, OwnerOf(session), pause);

    /// <inheritdoc/>
    public void Abort(in HubSession session, CloseReason reason) => _reactors.Abort(session.Connection, OwnerOf(session), reason);

    /// <inheritdoc/>
    public void LinkLost(in HubSession session) => _reactors.CloseWhenFlushed(session.Connection, OwnerOf(session), CloseReason.LinkLost);

    /// <inheritdoc/>
    public void OnWritable(HubLink link) => _reactors.ReleaseStalled();

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken deadline)
    {
        while (_reactors.Count > 0 && !deadline.IsCancellationRequested) await Task.Delay(5, CancellationToken.None).ConfigureAwait(false);
        _reactors.Stop();
    }

    /// <summary>Stops resolving, and logs how many warnings were suppressed.</summary>
    public void Dispose()
    {
        _addresses.Dispose();
        _warnings.Dispose();
    }

    /// <inheritdoc/>
    void IStateKeeper<BackendConnection>.Save(ConnectionId id, ref BackendConnection state, StateWriter writer) => writer.Write(state);

    /// <inheritdoc/>
    BackendConnection IStateKeeper<BackendConnection>.Restore(ConnectionId id, StateReader reader)
    {
        BackendConnection state = reader.Read<BackendConnection>();
        reader.Check(_sessions.Links.Find(state.LinkIndex) is not null, "the link of a session");
        reader.Check(state.Life.IsPossible && _addresses.TryRestore(state.Attempts), "how far a session has come");
        return state;
    }

    /// <inheritdoc/>
    void IConnectHandler<BackendConnection>.OnConnected(ConnectionId id, ref BackendConnection state) => _addresses.Succeeded(state.Attempts);

    /// <inheritdoc/>
    bool IConnectHandler<BackendConnection>.TryNextAddress(ref BackendConnection state, out NativeAddress address) =>
        _addresses.TryNext(ref state.Attempts, out address);

    /// <inheritdoc/>
    Outcome IConnectionHandler<BackendConnection>.OnReadable(ConnectionId id, int owner, ref BackendConnection state, IConnectionInput input)
    {
        HubLink hubLink = LinkOf(state);
        if (hubLink.Usable is not { } link) return Outcome.Closed;
        if (!link.TryClaim(link.MaxContent, out RingClaim claim)) return Outcome.WouldBlock;
        ReadOnlySpan<byte> bytes = input.Receive(link.MaxContent);
        if (!bytes.IsEmpty)
        {
            if (_tracksIdle) hubLink.Sessions.Touch(state.Id);
            claim.Commit(state.Id, bytes);
            PendingFlushes.Add(link);
        }

        claim.Release();
        return Outcome.Done;
    }

    /// <inheritdoc/>
    Outcome IConnectionHandler<BackendConnection>.OnPeerHalfClosed(ConnectionId id, int owner, ref BackendConnection state) =>
        LinkOf(state).Usable is not { } link || state.Life.TrySendEnd(link, state.Id) ? Outcome.Done : Outcome.WouldBlock;

    /// <inheritdoc/>
    Outcome IConnectionHandler<BackendConnection>.OnWritePressureChanged(ConnectionId id, int owner, ref BackendConnection state, bool isHigh) =>
        LinkOf(state).Usable is not { } link || link.TrySetPaused(state.Id, isHigh) ? Outcome.Done : Outcome.WouldBlock;

    /// <inheritdoc/>
    Outcome IConnectionHandler<BackendConnection>.OnClosed(ConnectionId id, int owner, ref BackendConnection state, CloseReason reason)
    {
        HubLink link = LinkOf(state);
        if (!state.Life.TrySendClose(link.Usable, state.Id, reason)) return Outcome.WouldBlock;
        if (reason is CloseReason.BackendRefused or CloseReason.BackendTimeout or CloseReason.OutOfResources) Warn(reason);
        _addresses.Release(ref state.Attempts);
        _sessions.End(link, state.Id, reason);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    void IConnectionHandler<BackendConnection>.OnBatchEnd() => PendingFlushes.Flush();

    private static int OwnerOf(in HubSession session) => session.Link.Number;

    private HubLink LinkOf(in BackendConnection state) => _sessions.Links[state.LinkIndex];

    /// <summary>Logs a failing backend, but not once for each of a million sessions.</summary>
    private void Warn(CloseReason reason)
    {
        if (_warnings.TryPass()) _log.BackendFails(_name, Label.Of(reason), WarningIntervalSeconds);
    }
}
