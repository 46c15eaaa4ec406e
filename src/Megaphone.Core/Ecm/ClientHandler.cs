using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>Passes what clients send to the links.</summary>
internal sealed unsafe class ClientHandler(EcmOptions options, RoleMetrics metrics, EcmServers servers, EcmLog log)
    : IConnectionHandler<EcmClient>, IAcceptHandler<EcmClient>, IConnectHandler<EcmClient>, IStateKeeper<EcmClient>, IDisposable
{
    /// <summary>How often somebody is looked for who gives way.</summary>
    private const int TriesForRoom = 4;

    private static readonly byte[] Shutdown = StreamErrorText.FarewellAndEnd(otherHost: null);
    private static readonly byte[] Kicked = StreamErrorText.ErrorAndEnd(StreamCondition.PolicyViolation);
    private static readonly byte[] TooLate = StreamErrorText.ErrorAndEnd(StreamCondition.ConnectionTimeout);

    private readonly PieceMemory _memory = StanzaFraming.MemoryFor(options);
    private StanzaFraming? _stanzas;
    private WebClients? _web;
    private LoginGate? _logins;
    private SessionLog? _sessions;
    private ReactorGroup<EcmClient>? _clients;
    private byte[] _listeners = [];
    private readonly byte[] _farewell = StreamErrorText.FarewellAndEnd(options.SeeOtherHost);
    private readonly ClientLimits _limits = new(options.Limits, options.MaxClients + (options.Tls?.MaxHandshakes ?? 0), metrics);
    private readonly GivingWay _givingWay = new(IAcceptHandler<EcmClient>.MostGivingWay);
    private volatile bool _draining, _stopping;

    /// <summary>Who may connect, and who is there without having logged in.</summary>
    public ClientLimits Limits => _limits;

    /// <summary>Where those wait who are to log in; after <see cref="Attach"/>.</summary>
    public LoginGate Logins => _logins!;

    /// <inheritdoc cref="EcmRole.Desk"/>
    public ClientDesk? Desk { get; private set; }

    /// <summary>How many clients each listener has.</summary>
    public ListenerCounts Counts { get; } = new();

    /// <summary>Attaches the reactors that call it; before they start.</summary>
    /// <exception cref="IOException">There is no address space for what is kept of clients.</exception>
    public void Attach(ReactorGroup<EcmClient> clients, Func<int, string> listenerName)
    {
        Desk = new ClientDesk(options, listenerName, clients, servers, _limits);
        _sessions = new SessionLog(log, Desk);
        _clients = clients;
        if (options.Link.Framing == LinkFraming.Stanza) _stanzas = new StanzaFraming(options, _memory, metrics);
        _logins = new LoginGate(options, servers, clients, metrics);
        if (options.GetWeb().Any(web => web is not null)) _web = new WebClients(options, metrics, servers, clients, _memory, _logins, _sessions);
    }

    /// <summary>Before clients are restored: which of the listeners is which of those that there were.</summary>
    public void UseListeners(byte[] byFormer) => _listeners = byFormer;

    /// <inheritdoc/>
    public void Save(ConnectionId id, ref EcmClient state, StateWriter writer)
    {
        EcmClient plain = state;
        if (!state.IsRelayed) plain.Stream.Buffer = null;
        writer.Write(plain);
        if (_web is { } web && web.Serves(state)) web.Save(id, state, writer);
        else if (state.Stream.Length > 0) writer.WriteBytes(StreamSplitter.Held(state.Stream));
    }

    /// <inheritdoc/>
    public EcmClient Restore(ConnectionId id, StateReader reader)
    {
        EcmClient state = reader.Read<EcmClient>();
        reader.Check(state.Listener < _listeners.Length, "where a client comes from");
        state.Listener = _listeners[state.Listener];
        WebClients? web = _web is { } clients && clients.Serves(state) ? clients : null;
        reader.Check(state.LinkIndex < EcmServers.MaxLinks || (web is not null && state.IsRelayed), "the link of a client");
        if (state.LinkIndex != EcmClient.RelayedServer) Counts.Add(state.Listener);
        reader.Check(state.Life.IsPossible && (state.IsRelayed || state.Stream.Buffer == null), "how far a client has come");
        if (web is not null)
        {
            web.Restore(id, ref state, reader);
            return state;
        }

        reader.Check(state.Stream.Length >= 0, "how far a client has come");
        ReadOnlySpan<byte> held = state.Stream.Length == 0 ? [] : reader.ReadBytes(state.Stream.Length, "a client's incomplete stanza");
        if (_stanzas is { } stanzas) reader.Check(stanzas.TryRestore(ref state, held), "a client's stream");
        else reader.Check(state.Stream is { Length: 0, Lexer: LexerState.Between }, "a stream where there are bytes");
        return state;
    }

    /// <summary>Frees the memory of a client that was restored and is not served.</summary>
    public void Release(ConnectionId id, ref EcmClient state)
    {
        if (_web is { } web && web.Serves(state)) web.Release(id, ref state);
        else _stanzas?.End(ref state);
    }

    /// <summary>Begins with what happens when time passes, or goes on with it.</summary>
    public void Start()
    {
        _web?.Start();
        Logins.Start();
    }

    /// <summary>Nothing happens when time passes, until <see cref="Start"/>.</summary>
    public void Suspend()
    {
        _web?.Suspend();
        Logins.Suspend();
    }

    /// <summary>From now on new clients are served, or not.</summary>
    public void AcceptNew(bool isServed) => _draining = !isServed;

    /// <summary>From now on nothing more is read from clients.</summary>
    public void StopReading() => _stopping = true;

    /// <inheritdoc/>
    int IAcceptHandler<EcmClient>.GivingWay => _givingWay.Count;

    /// <inheritdoc/>
    public RefusalReason? GetRefusal() => _draining ? RefusalReason.Draining : servers.AreUsable ? null : RefusalReason.NoLink;

    /// <inheritdoc/>
    public RefusalReason? OnArrived(int descriptor, in NativeAddress peer, int listener)
    {
        if (_limits.TryArrive(peer)) return null;
        TurnedAway.Tell(descriptor, options.Clients[listener]);
        return RefusalReason.Limited;
    }

    /// <inheritdoc/>
    public void OnTurnedAway(in NativeAddress peer) => _limits.TurnAway(peer);

    /// <inheritdoc/>
    public bool TryMakeRoom(in NativeAddress peer, Limit limit)
    {
        // One that is found may be giving way already, or logs in at this moment.
        for (int tries = 0; tries < TriesForRoom && _limits.TryFindBusiest(peer, out ConnectionId busiest); tries++)
        {
            if (!_givingWay.TryAdd(busiest)) continue;
            if (_clients!.AbortStranger(busiest, _clients.OwnerOf(busiest), CloseReason.GaveWay))
            {
                metrics.AddLimited(limit);
                return true;
            }

            _givingWay.Remove(busiest);
        }

        return false;
    }

    /// <inheritdoc/>
    public RefusalReason? OnAccepted(
        ConnectionId id, ref EcmClient state, in NativeAddress peer, int descriptor, int listener, TlsFacts? tls, out int owner)
    {
        owner = 0;
        if (_draining) return RefusalReason.Draining;
        if (servers.Choose(out Link? link) is not { } chosen || link is null) return RefusalReason.NoLink;

        state.LinkIndex = chosen.Index;
        state.Listener = (byte)listener;
        state.Arrive(ClientAddress.Of(peer), Environment.TickCount64);
        if (_web is { } web && web.Serves(state))
        {
            if (web.OnAccepted(id, ref state, peer, descriptor, tls, link.Number) is { } refusal) return refusal;
        }
        else
        {
            // Where it need not wait it is sent at once, so that the server knows its client before the client has sent anything.
            Span<byte> header = stackalloc byte[ProxyHeader.MaxBytes];
            bool mayWait = Logins.Paces(link);
            int length = options.Proxy == ProxyMode.None ? 0 : ProxyHeader.Write(
                header, options.Proxy, peer, NativeSocket.LocalAddress(descriptor), tls, PacedClient.MostHeaderBytes(mayWait));
            if (!Logins.TryOpen(id, link, ref state, mayWait, ClientAddress.Of(peer), header[..length])) return RefusalReason.LinkFull;
        }

        metrics.AddConnected();
        Counts.Add(listener);
        _limits.Begin(id, peer);
        chosen.AddClient(link.Number);
        _sessions!.Began(id, peer);
        owner = link.Number;
        return null;
    }

    /// <inheritdoc/>
    public Outcome OnReadable(ConnectionId id, int owner, ref EcmClient state, IConnectionInput input)
    {
        if (_stopping) return Outcome.Closed;
        if (_memory.IsScarce && !input.IsAdmitted) MakeRoom(id, state);
        Link? current = LinkOf(owner, state);

        // Nothing of it will reach a server any more: its turn to log in is for others.
        if (current is null && !input.IsAdmitted) Logins.Leave(id);
        if (_web is { } web && web.Serves(state)) return web.OnReadable(id, owner, ref state, current, input);
        if (state.Stream.IsRefused) return StanzaFraming.Discard(input);
        if (current is not { } link) return Outcome.Closed;
        if (_stanzas is { } stanzas)
        {
            Outcome passes = input.IsAdmitted ? Outcome.Done : Logins.Pass(id, link, ref state, input);
            if (passes is Outcome.Held or Outcome.WouldBlock) return passes;
            if (passes == Outcome.Closed)
            {
                Refuse(id, link, ref state, stanzas.Refuse(ref state, StreamFaultKind.WaitedTooLong));
                return StanzaFraming.Discard(input);
            }

            Outcome outcome = stanzas.Read(link, id, ref state, input, out StreamFault? fault);
            if (fault is not null) Refuse(id, link, ref state, fault);
            return outcome;
        }

        if (!link.TryClaim(link.MaxContent, out RingClaim claim)) return Outcome.WouldBlock;
        ReadOnlySpan<byte> bytes = input.Receive(link.MaxContent);
        if (!bytes.IsEmpty)
        {
            // What it speaks is not known here, nor how that logs in: it is enough that it speaks.
            if (!input.IsAdmitted) _clients!.Admit(id, owner);
            state.Open(metrics);
            claim.Commit(id.Value, bytes);
            PendingFlushes.Add(link);
        }

        claim.Release();
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public Outcome OnPeerHalfClosed(ConnectionId id, int owner, ref EcmClient state)
    {
        if (_web is { } web && web.Serves(state)) return web.OnPeerHalfClosed(id, owner, ref state, LinkOf(owner, state));

        // Its session is over already, but the rest of its stream error still has to be sent.
        if (state.Stream.IsRefused) return Outcome.Done;
        _stanzas?.End(ref state);

        // A client that never sent anything has no session to end.
        if (LinkOf(owner, state) is not { } link || !state.Life.IsOpened) return Outcome.Closed;
        return state.Life.TrySendEnd(link, id.Value) ? Outcome.Done : Outcome.WouldBlock;
    }

    /// <inheritdoc/>
    public Outcome OnWritePressureChanged(ConnectionId id, int owner, ref EcmClient state, bool isHigh)
    {
        if (_web is { } web && web.Serves(state)) return web.OnWritePressureChanged(id, state, LinkOf(owner, state), isHigh);
        return LinkOf(owner, state) is not { } link || link.TrySetPaused(id.Value, isHigh) ? Outcome.Done : Outcome.WouldBlock;
    }

    /// <inheritdoc/>
    public void OnClosing(in SurveyedConnection connection, in EcmClient state, CloseReason reason) => _sessions!.Ended(connection, state, reason);

    /// <inheritdoc/>
    public Outcome OnClosed(ConnectionId id, int owner, ref EcmClient state, CloseReason reason)
    {
        _givingWay.Remove(id);
        CloseReason whenRefused = _draining ? CloseReason.Drained : CloseReason.StreamError;
        Logins.Leave(id);
        if (_web is { } web && web.Serves(state))
        {
            // The server's end of a relay is nobody who has come.
            Outcome outcome = web.OnClosed(id, owner, ref state, LinkOf(owner, state), reason, whenRefused);
            if (outcome == Outcome.Done && state.LinkIndex != EcmClient.RelayedServer) Leave(id, state);
            return outcome;
        }

        bool refused = state.Stream.IsRefused;
        if (refused) reason = whenRefused;
        else _stanzas?.End(ref state);

        if (!state.Life.TrySendClose(LinkOf(owner, state), id.Value, reason)) return Outcome.WouldBlock;
        metrics.RemoveConnected();
        Leave(id, state);
        servers.RemoveClient(state.LinkIndex, owner);

        // A refused client's session was over, and counted, when it was refused; so was that of one whose link was lost.
        if (state.Life.IsOpened && !refused) metrics.AddSessionClosed(reason);
        return Outcome.Done;
    }

    /// <inheritdoc/>
    public void OnAdmitted(ConnectionId id, ref EcmClient state)
    {
        Logins.Leave(id);
        _limits.Admit(id, isUser: !state.IsRelayed, isProxied: options.HasProxies(state.Listener));
    }

    /// <inheritdoc/>
    public bool HasUnfinished => metrics.IncompleteBytes > 0;

    /// <inheritdoc/>
    public CloseReason? GetCloseReason(
        ConnectionId id, int owner, bool hasSent, CloseOccasion occasion, ref EcmClient state, out ReadOnlySpan<byte> last)
    {
        last = default;
        if (_stopping) return null;
        Link? link = LinkOf(owner, state);
        WebClients? web = _web is { } clients && clients.Serves(state) ? clients : null;
        if (link is not null && occasion == CloseOccasion.Sweep) return null;
        if (occasion == CloseOccasion.Drain && !_draining && (state.IsRelayed || !servers.IsTakenOut(state.LinkIndex))) return null;
        if (web is not null ? !web.MustEnd(id, state, occasion) : !StanzaFraming.MustEnd(ref state, occasion)) return null;
        CloseReason reason = occasion switch
        {
            CloseOccasion.Late => CloseReason.LoginTimeout,
            CloseOccasion.Look => CloseReason.StanzaTimeout,
            CloseOccasion.Kick => CloseReason.Kicked,
            _ => link is null && !state.IsRelayed ? CloseReason.LinkLost : CloseReason.Drained,
        };
        Logins.Leave(id);
        bool isLate = occasion is CloseOccasion.Late or CloseOccasion.Look;
        byte[] farewell = isLate ? TooLate : occasion == CloseOccasion.Kick ? Kicked : Shutdown;
        if (web is not null)
        {
            last = web.Abandon(id, ref state, link, occasion, reason, farewell);
        }
        else if (_stanzas is { } stanzas)
        {
            if (state.Life.IsOpened) metrics.AddSessionClosed(reason);
            stanzas.Abandon(ref state);
            if (occasion == CloseOccasion.Drain) farewell = _farewell;
            last = hasSent ? farewell : (byte[])[.. StreamErrorText.NewHeader(), .. farewell];

            // The server keeps what its client can still resume elsewhere (XEP-0198): nothing more of the client reaches it, not even its answer to
            // this. If there is no room now, the server is told when the client is closed.
            state.Life.TrySendClose(link, id.Value, reason);
        }

        if (isLate) metrics.AddLimited(occasion == CloseOccasion.Late ? Limit.LoginTimeout : Limit.StanzaTimeout);
        if (isLate && !last.IsEmpty) metrics.AddStreamError(StreamCondition.ConnectionTimeout);
        return reason;
    }

    /// <inheritdoc/>
    void IConnectHandler<EcmClient>.OnConnected(ConnectionId id, ref EcmClient state)
    {
    }

    /// <inheritdoc/>
    bool IConnectHandler<EcmClient>.TryNextAddress(ref EcmClient state, out NativeAddress address)
    {
        address = default;
        return false;
    }

    /// <inheritdoc/>
    public void OnSlotsGivenBack(int reactor, int first, int count) => _web?.OnSlotsGivenBack(reactor, first, count);

    /// <summary>Frees what is kept of clients. Where there were reactors they have stopped, and before them what happens when time passes.</summary>
    public void Dispose()
    {
        _web?.Dispose();
        _logins?.Dispose();
        _limits.Dispose();
    }

    /// <inheritdoc/>
    public void OnBatchEnd() => PendingFlushes.Flush();

    /// <summary>
    /// Ends a session whose client violated XMPP: the client gets the stream error, and then the end of our direction; the
    /// server is told now. The socket stays open until the client has ended too, or until the half-open timeout: closing
    /// it with unread input would send a reset, and the client might lose the error.
    /// </summary>
    private void Refuse(ConnectionId id, Link link, ref EcmClient state, StreamFault fault)
    {
        Logins.Leave(id);
        _sessions!.Refused(id, fault);
        metrics.AddStreamError(fault.Condition);
        _clients!.SendLast(id, link.Number, StreamErrorText.NewHeader(), StreamErrorText.ErrorAndEnd(fault.Condition), CloseReason.StreamError);
        if (!state.Life.IsOpened) return;

        // If there is no room now, the server is told when the client is closed.
        metrics.AddSessionClosed(CloseReason.StreamError);
        state.Life.TrySendClose(link, id.Value, CloseReason.StreamError);
    }

    /// <summary>
    /// The memory for what is incomplete of those who have not logged in is used up: of some of them the worst gives way, the one whose part and
    /// address together take most, unless that is the client itself, who will find no room then.
    /// </summary>
    private void MakeRoom(ConnectionId id, in EcmClient client)
    {
        Span<(ConnectionId Id, int OfAddress)> sample = stackalloc (ConnectionId, int)[ClientLimits.SampleSize];
        (long most, ConnectionId worst) = (Math.Max(1, HeldBy(id, client)) * (long)_limits.NotLoggedIn(id), default);
        for (int tries = 0; tries < TriesForRoom && worst.Value == 0; tries++)
        {
            foreach ((ConnectionId other, int ofAddress) in sample[.._limits.Sample(sample)])
            {
                // What another reactor has is not to be looked at here.
                bool isOurs = other.Reactor == id.Reactor && _clients!.OwnerOf(other) != 0;
                long takes = isOurs ? (long)HeldBy(other, _clients!.StateOf(other)) * ofAddress : 0;
                if (takes > most) (most, worst) = (takes, other);
            }
        }

        if (worst.Value == 0 || LinkOf(_clients!.OwnerOf(worst), _clients.StateOf(worst)) is not { } link) return;
        ref EcmClient state = ref _clients.StateOf(worst);
        metrics.AddLimited(Limit.IncompleteBytes);
        if (_web is { } web && web.Serves(state)) web.GiveWay(worst, ref state, link);
        else if (_stanzas is { } stanzas) Refuse(worst, link, ref state, stanzas.Refuse(ref state, StreamFaultKind.NoMemory));
    }

    /// <summary>The memory that what is incomplete of a client takes, in bytes.</summary>
    private int HeldBy(ConnectionId id, in EcmClient client) =>
        _web is { } web && web.Serves(client) ? web.HeldBy(id, client) : _stanzas?.HeldBy(client) ?? 0;

    private void Leave(ConnectionId id, in EcmClient client)
    {
        _limits.Leave(id, isUser: !client.IsRelayed);
        Counts.Remove(client.Listener);
    }

    /// <summary>The link of a client; null when the link that it was on is down, or it needs none.</summary>
    private Link? LinkOf(int owner, in EcmClient state) => state.IsRelayed ? null : servers.Find(state.LinkIndex, owner);
}
