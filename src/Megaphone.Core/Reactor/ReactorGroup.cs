using System.Net;
using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>The reactors of one room: the first one accepts, and every connection goes to the one with the fewest.</summary>
/// <remarks>Thread-safe, but for <see cref="Listen"/> and <see cref="Start"/>, which come first.</remarks>
internal sealed class ReactorGroup<TState>
    where TState : unmanaged
{
    private readonly IConnectionHandler<TState> _handler;
    private readonly IAcceptHandler<TState>? _accepted;
    private readonly RoleMetrics _metrics;
    private readonly Reactor<TState>[] _reactors;
    private readonly ReactorOptions _options;

    /// <summary>Makes the reactors; nothing runs yet.</summary>
    /// <param name="handler">What is done with connections.</param>
    /// <param name="options">How they are treated.</param>
    /// <param name="metrics">Where buffered bytes, pauses and refusals are counted.</param>
    /// <param name="accepted">What is done with accepted connections; without it there is no <see cref="Listen"/>, <see cref="Accept"/>
    /// or <see cref="Sweep"/>.</param>
    /// <param name="outgoing">What is done with outgoing connections; without it there is no <see cref="TryConnect"/>.</param>
    /// <param name="least">Connections for which each reactor has to have a place, whatever the bound is: so many may be there.</param>
    /// <exception cref="IOException">No descriptors for them.</exception>
    public ReactorGroup(
        IConnectionHandler<TState> handler, ReactorOptions options, RoleMetrics metrics,
        IAcceptHandler<TState>? accepted = null, IConnectHandler<TState>? outgoing = null, int least = 0)
    {
        _handler = handler;
        _accepted = accepted;
        _metrics = metrics;
        _options = options;

        // Any reactor may get more than its share while others close theirs; the group as a whole keeps the bound.
        // Those that give way have their places until they are closed.
        int more = accepted is null ? 0 : IAcceptHandler<TState>.MostGivingWay;
        Capacity = Math.Min(Math.Max(options.MaxConnections, least) + more, ConnectionId.MaxSlots);
        _reactors = new Reactor<TState>[options.Reactors];
        for (int i = 0; i < _reactors.Length; i++)
            _reactors[i] = new Reactor<TState>(i, Capacity, handler, accepted, outgoing, options, metrics);
    }

    /// <summary>The connections that each reactor has places for.</summary>
    public int Capacity { get; }

    /// <summary>Connections of all reactors now.</summary>
    public int Count
    {
        get
        {
            int count = 0;
            foreach (Reactor<TState> reactor in _reactors) count += reactor.Count;
            return count;
        }
    }

    private bool HasPlace => Count - _accepted!.GivingWay < _options.MaxConnections;

    /// <summary>Binds a listener.</summary>
    /// <param name="number">By which its clients say where they came from.</param>
    /// <param name="endPoint">The address.</param>
    /// <param name="backlog">Connections that the kernel may hold ready.</param>
    /// <param name="inherited">A socket that listens there already; below 0: none.</param>
    /// <param name="mode">The mode of a Unix socket's file.</param>
    /// <param name="givesWay">Is asked when no descriptor is left for a client; null: nobody gives way.</param>
    /// <returns>The listener.</returns>
    /// <exception cref="ListenException">It cannot be bound.</exception>
    public Acceptor Listen(
        int number, EndPoint endPoint, int backlog, int inherited = -1, UnixFileMode mode = default, Acceptor.GivesWay? givesWay = null)
    {
        Acceptor acceptor = new(number, endPoint, backlog, _options.Liveness, _metrics, inherited, mode, givesWay);
        _reactors[0].Listen(acceptor, AcceptPlain);
        return acceptor;
    }

    /// <summary>Ends the threads behind what they are doing, until <see cref="Start"/>: connections stay as they are.</summary>
    public void Park()
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.Stop();
    }

    /// <inheritdoc cref="Reactor{TState}.Save"/>
    public void Save(StateWriter writer, IStateKeeper<TState> keeper)
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.Save(writer, keeper);
    }

    /// <inheritdoc cref="Reactor{TState}.Restore"/>
    public void Restore(StateReader reader, IStateKeeper<TState> keeper, IReadOnlyCollection<int> listeners)
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.Restore(reader, keeper, listeners);
    }

    /// <summary>Starts the threads.</summary>
    public void Start()
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.Start();
    }

    /// <inheritdoc cref="ConnectionRequests{TState}.TryConnect"/>
    public bool TryConnect(in NativeAddress to, int owner, TState state, out ConnectionId id)
    {
        id = default;
        return Count < _options.MaxConnections && Least().Connections.TryConnect(to, owner, state, out id);
    }

    /// <inheritdoc cref="ConnectionRequests{TState}.Send"/>
    public bool Send(ConnectionId id, int owner, ReadOnlySpan<byte> bytes, bool moreFollows = false) =>
        Find(id) is { } connections && connections.Send(id, owner, bytes, moreFollows);

    /// <inheritdoc cref="ConnectionRequests{TState}.SendLast"/>
    public void SendLast(
        ConnectionId id, int owner, ReadOnlySpan<byte> opening, ReadOnlySpan<byte> bytes, CloseReason reason = CloseReason.Ended) =>
        Find(id)?.SendLast(id, owner, opening, bytes, reason);

    /// <summary>The address at the other end of a connection; zeros when it is not connected any more. For the thread of its reactor.</summary>
    public NativeAddress PeerOf(ConnectionId id) => Find(id)?.PeerOf(id) ?? default;

    /// <inheritdoc cref="ConnectionRequests{TState}.Admit"/>
    public void Admit(ConnectionId id, int owner) => Find(id)?.Admit(id, owner);

    /// <summary>What is kept for a connection. For the thread of its reactor, or with its gate held; the connection must be open.</summary>
    public ref TState StateOf(ConnectionId id) => ref _reactors[id.Reactor].Connections.StateOf(id);

    /// <summary>Whose a connection is; 0: it is closed. For the thread of its reactor; to others it tells what was so a moment ago.</summary>
    public int OwnerOf(ConnectionId id) => Find(id)?.OwnerOf(id) ?? 0;

    /// <inheritdoc cref="ConnectionRequests{TState}.EndWrite"/>
    public bool EndWrite(ConnectionId id, int owner) => Find(id) is { } connections && connections.EndWrite(id, owner);

    /// <inheritdoc cref="ConnectionRequests{TState}.CloseWhenFlushed"/>
    public void CloseWhenFlushed(ConnectionId id, int owner, CloseReason reason) =>
        Find(id)?.CloseWhenFlushed(id, owner, reason);

    /// <inheritdoc cref="ConnectionRequests{TState}.Abort"/>
    public bool Abort(ConnectionId id, int owner, CloseReason reason) =>
        Find(id) is { } connections && connections.Abort(id, owner, reason);

    /// <inheritdoc cref="ConnectionRequests{TState}.AbortStranger"/>
    public bool AbortStranger(ConnectionId id, int owner, CloseReason reason) =>
        Find(id) is { } connections && connections.AbortStranger(id, owner, reason);

    /// <inheritdoc cref="ConnectionRequests{TState}.PauseReading"/>
    public void PauseReading(ConnectionId id, int owner, bool pause) => Find(id)?.PauseReading(id, owner, pause);

    /// <inheritdoc cref="ConnectionRequests{TState}.Release"/>
    public void Release(ConnectionId id) => Find(id)?.Release(id);

    /// <inheritdoc cref="Reactor{TState}.ReleaseStalled"/>
    public void ReleaseStalled()
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.ReleaseStalled();
    }

    /// <inheritdoc cref="Reactor{TState}.Sweep"/>
    public void Sweep()
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.Sweep();
    }

    /// <inheritdoc cref="ConnectionSurvey{TState}.Look"/>
    /// <remarks>In steps, on as many threads of the pool as half of the cores: both functions are called by several at the same time.</remarks>
    public void Survey(SurveyFilter<TState> wants, SurveyVisitor<TState> visit)
    {
        (ConnectionSurvey<TState> Survey, int Step)[] steps =
            [.. _reactors.SelectMany(reactor => Enumerable.Range(0, reactor.Survey.Steps).Select(step => (reactor.Survey, step)))];
        int taken = 0;
        int threads = Math.Clamp(Environment.ProcessorCount / 2, 1, Math.Max(1, steps.Length));
        Task.WaitAll([.. Enumerable.Range(0, threads).Select(_ => Task.Run(LookOn))]);

        void LookOn()
        {
            for (int next; (next = Interlocked.Increment(ref taken) - 1) < steps.Length;) steps[next].Survey.Look(steps[next].Step, wants, visit);
        }
    }

    /// <summary>Closes clients, whoever's they are, if the handler agrees. Any thread.</summary>
    /// <returns>How many of them there were.</returns>
    public int Kick(IReadOnlyCollection<ConnectionId> clients)
    {
        int marked = clients.Count(id => Find(id)?.TryMarkKicked(id) is true);
        foreach (Reactor<TState> reactor in _reactors) reactor.CloseKicked();
        return marked;
    }

    /// <summary>Whether a drain is under way.</summary>
    public bool IsDraining => _reactors.Any(reactor => reactor.IsDraining);

    /// <inheritdoc cref="Reactor{TState}.Drain"/>
    public void Drain(TimeSpan over, bool waits, double share = 1)
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.Drain(over, waits, share);
    }

    /// <inheritdoc cref="Reactor{TState}.EndDrain"/>
    public void EndDrain()
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.EndDrain();
    }

    /// <inheritdoc cref="Reactor{TState}.StopAccepting"/>
    public void StopAccepting() => _reactors[0].StopAccepting();

    /// <summary>Ends the threads and closes every connection that is left.</summary>
    public void Stop()
    {
        foreach (Reactor<TState> reactor in _reactors) reactor.Stop();
        foreach (Reactor<TState> reactor in _reactors) reactor.Dispose();
    }

    /// <summary>Has a client that has connected count as one who has arrived, or closes its socket and counts why. Any thread.</summary>
    /// <param name="descriptor">Its socket.</param>
    /// <param name="peer">Its address.</param>
    /// <param name="listener">Where it has connected.</param>
    /// <returns>Whether it has arrived: then it is passed to <see cref="Accept"/> or to <see cref="TurnAway"/>.</returns>
    public bool TryArrive(int descriptor, in NativeAddress peer, int listener)
    {
        RefusalReason? refusal = _accepted!.GetRefusal() ?? _accepted.OnArrived(descriptor, peer, listener);
        if (refusal is null && !HasPlace && !_accepted.TryMakeRoom(peer, Limit.MaxClients))
        {
            TurnAway(peer);
            refusal = RefusalReason.TooMany;
        }

        if (refusal is not { } reason) return true;
        _ = Libc.Close(descriptor);
        _metrics.AddRefused(reason);
        return false;
    }

    /// <summary>A client that has arrived has gone before it could be accepted. Any thread.</summary>
    public void TurnAway(in NativeAddress peer) => _accepted!.OnTurnedAway(peer);

    /// <summary>
    /// Serves a client that was accepted, or closes its socket and counts why. Any thread; one that is not a reactor's calls
    /// <see cref="Flush"/> afterwards.
    /// </summary>
    /// <inheritdoc cref="ConnectionRequests{TState}.Accept"/>
    public void Accept(int descriptor, in NativeAddress peer, int listener, ref AcceptedTls tls)
    {
        // A client whose handshake took its time may come when there is no place left.
        RefusalReason? refusal = RefusalReason.TooMany;
        if (HasPlace || _accepted!.TryMakeRoom(peer, Limit.MaxClients))
        {
            refusal = Least().Connections.Accept(descriptor, peer, listener, ref tls);
        }
        else
        {
            TurnAway(peer);
            tls.Refuse(descriptor);
        }

        if (refusal is { } reason) _metrics.AddRefused(reason);
    }

    /// <summary>What is wrong with the state of a connection; null: nothing. For tests.</summary>
    public string? FindViolation() => _reactors.Select(reactor => reactor.FindViolation()).FirstOrDefault(violation => violation is not null);

    /// <summary>Passes on what this thread's clients have brought.</summary>
    public void Flush() => _handler.OnBatchEnd();

    private ConnectionRequests<TState>? Find(ConnectionId id) => id.Reactor < _reactors.Length ? _reactors[id.Reactor].Connections : null;

    private Reactor<TState> Least()
    {
        Reactor<TState> least = _reactors[0];
        foreach (Reactor<TState> reactor in _reactors)
        {
            if (reactor.Count < least.Count) least = reactor;
        }

        return least;
    }

    private void AcceptPlain(int descriptor, in NativeAddress peer, int listener)
    {
        if (!TryArrive(descriptor, peer, listener)) return;
        AcceptedTls none = default;
        Accept(descriptor, peer, listener, ref none);
    }
}
