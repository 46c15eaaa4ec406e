using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Values;

namespace Megaphone.Hub;

/// <summary>A TCP server behind the hub: each session gets a connection of its own to it.</summary>
/// <remarks>
/// What the client says goes to the descriptor on the receiver's thread; what the server says is read by a reactor and
/// written into the ring of the session's link.
/// </remarks>
internal sealed class TcpBackend : ISessionBackend, IConnectionHandler<HubSession>, IConnectHandler<HubSession>
{
    private const int ComplainSeconds = 30;

    private readonly HubSessions _sessions;
    private readonly HubLog _log;
    private readonly HostPort _backend;
    private readonly BackendAddresses _addresses;
    private readonly ReactorGroup<HubSession> _reactors;
    private readonly bool _clocked;
    private readonly LogLimiter _complaints;

    /// <summary>Starts the reactors.</summary>
    /// <exception cref="IOException">There are no descriptors for them.</exception>
    public TcpBackend(HostPort backend, HubSessions sessions, HubLog log)
    {
        HubOptions options = sessions.Options;
        _sessions = sessions;
        _log = log;
        _backend = backend;
        _complaints = new LogLimiter(
            1, TimeSpan.FromSeconds(ComplainSeconds), count => log.BackendFailedMore(backend.ToString(), count, ComplainSeconds));
        _clocked = options.IdleTimeout is not null;
        _addresses = new BackendAddresses(backend, log);
        ReactorOptions reactors = new()
        {
            Name = "hub",
            Reactors = options.Reactors,
            MaxConnections = options.MaxSessions,
            HalfOpenTimeout = options.HalfOpenTimeout,
            ConnectTimeout = options.ConnectTimeout,
            CloseRate = 0,
            Buffers = options.Buffers,
            Liveness = options.Liveness,
        };
        _reactors = new ReactorGroup<HubSession>(this, reactors, sessions.Metrics, outgoing: this);
        _reactors.Start();
    }

    /// <inheritdoc/>
    public CloseReason? Open(HubSession session)
    {
        if (!_addresses.TryStart(out BackendAddresses.Candidates candidates, out NativeAddress first)) return CloseReason.BackendUnresolved;
        session.Candidates = candidates;
        if (!_reactors.TryConnect(first, session.Link.Link.Number, session, out ConnectionId backend)) return CloseReason.TooManySessions;
        session.Backend = backend;
        return null;
    }

    /// <inheritdoc/>
    public BackendVerdict Send(HubSession session, ReadOnlySpan<byte> content) =>
        _reactors.Send(session.Backend, session.Link.Link.Number, content) ? BackendVerdict.Taken : BackendVerdict.Gone;

    /// <inheritdoc/>
    public BackendVerdict EndInput(HubSession session) =>
        _reactors.EndWrite(session.Backend, session.Link.Link.Number) ? BackendVerdict.Taken : BackendVerdict.Gone;

    /// <inheritdoc/>
    public void Pause(HubSession session, bool pause) => _reactors.PauseReading(session.Backend, session.Link.Link.Number, pause);

    /// <inheritdoc/>
    public void Abort(HubSession session, CloseReason reason) => _reactors.Abort(session.Backend, session.Link.Link.Number, reason);

    /// <inheritdoc/>
    public void LinkLost(HubSession session) =>
        _reactors.CloseWhenFlushed(session.Backend, session.Link.Link.Number, CloseReason.LinkLost);

    /// <inheritdoc/>
    public void RoomAgain(HubLink link) => _reactors.ReleaseStalled();

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken deadline)
    {
        while (_reactors.Count > 0 && !deadline.IsCancellationRequested) await Task.Delay(5, CancellationToken.None).ConfigureAwait(false);
        _reactors.Stop();
    }

    /// <summary>Ends what runs in the background.</summary>
    public void Dispose()
    {
        _addresses.Dispose();
        _complaints.Dispose();
    }

    /// <inheritdoc/>
    void IConnectHandler<HubSession>.OnConnected(ConnectionId id, ref HubSession state) => _addresses.Succeeded(state.Candidates);

    /// <inheritdoc/>
    bool IConnectHandler<HubSession>.TryNextAddress(ref HubSession state, out NativeAddress address)
    {
        BackendAddresses.Candidates candidates = state.Candidates;
        bool another = BackendAddresses.TryNext(ref candidates, out address);
        state.Candidates = candidates;
        return another;
    }

    /// <inheritdoc/>
    Outcome IConnectionHandler<HubSession>.OnReadable(ConnectionId id, int owner, ref HubSession state, IConnectionInput input)
    {
        if (state.Link.Closing) return Outcome.Closed;
        Link link = state.Link.Link;
        if (!link.TryAcquire(link.MaxContent)) return Outcome.WouldBlock;
        ReadOnlySpan<byte> bytes = input.Receive(link.MaxContent);
        if (bytes.IsEmpty)
        {
            link.Return(link.MaxContent);
            return Outcome.Done;
        }

        if (_clocked) state.LastActivity = Environment.TickCount64;
        link.Write(state.Id, bytes);
        link.Return(link.MaxContent, bytes.Length);
        FlushBatch.Add(link);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    Outcome IConnectionHandler<HubSession>.OnPeerHalfClosed(ConnectionId id, int owner, ref HubSession state)
    {
        if (state.Link.Closing || state.OutputEnded) return Outcome.Done;
        if (!state.Link.Link.TryWrite(state.Id, [])) return Outcome.WouldBlock;
        state.OutputEnded = true;
        FlushBatch.Add(state.Link.Link);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    Outcome IConnectionHandler<HubSession>.OnWritePressureChanged(ConnectionId id, int owner, ref HubSession state, bool isHigh)
    {
        Link link = state.Link.Link;
        if (state.Link.Closing || !link.HasControl) return Outcome.Done;
        if (!link.TryWrite(isHigh ? SessionControl.Pause(state.Id) : SessionControl.Resume(state.Id))) return Outcome.WouldBlock;
        if (isHigh) _sessions.Metrics.AddPause();
        return Outcome.Done;
    }

    /// <inheritdoc/>
    Outcome IConnectionHandler<HubSession>.OnClosed(ConnectionId id, int owner, ref HubSession state, CloseReason reason)
    {
        if (!HubSessions.TryTellOver(state.Link, state.Id, reason, state.OutputEnded)) return Outcome.WouldBlock;
        if (reason is CloseReason.BackendRefused or CloseReason.BackendTimeout or CloseReason.OutOfResources) Complain(reason);
        _sessions.Over(state, reason);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    void IConnectionHandler<HubSession>.OnBatchEnd() => FlushBatch.Flush();

    /// <summary>Tells the operator, but not once for each of a million sessions.</summary>
    private void Complain(CloseReason reason)
    {
        if (_complaints.TryPass()) _log.BackendFails(_backend.ToString(), Label.Of(reason), ComplainSeconds);
    }
}
