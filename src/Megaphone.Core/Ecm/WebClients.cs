using System.Net;
using System.Text;
using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>The clients of listeners for the web: each is a WebSocket, or relayed, or refused, once the head of its first request is there.</summary>
/// <remarks>
/// <see cref="ClientHandler"/> passes on what its reactors tell of them. A client that waits for its head has a link, but no session: that
/// begins when it is known to be a WebSocket.
/// </remarks>
internal sealed unsafe class WebClients : IDisposable
{
    /// <summary>The PROXY header, a head, and what may be received behind it.</summary>
    private const int MaxHeadKept = ProxyHeader.MaxBytes + (2 * RequestHead.MaxBytes);

    private readonly EcmOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly EcmServers _servers;
    private readonly ReactorGroup<EcmClient> _clients;
    private readonly WebSlots _slots;
    private readonly WebBuffer _heads;
    private readonly WebSocketInput _input;
    private readonly WebSocketOutput _output;
    private readonly HttpRelay _relay;
    private readonly WebTimer _timer;
    private readonly LoginGate _logins;
    private readonly WebOptions?[] _web;
    private readonly byte[][] _paths;
    private readonly byte[]? _redirection;

    /// <summary>Makes it for the clients of these reactors; before they start.</summary>
    /// <exception cref="IOException">There is no address space for their state.</exception>
    public WebClients(
        EcmOptions options, RoleMetrics metrics, EcmServers servers, ReactorGroup<EcmClient> clients, PieceMemory memory, LoginGate logins,
        SessionLog log)
    {
        (_options, _metrics, _servers, _clients, _logins) = (options, metrics, servers, clients, logins);
        _web = options.GetWeb();
        _paths = [.. _web.Select(web => Encoding.ASCII.GetBytes(web?.Path ?? ""))];
        _slots = new WebSlots(options.Reactors, clients.Capacity);
        _heads = new WebBuffer(memory);
        _input = new WebSocketInput(options, _slots, clients, memory, metrics, log);
        _output = new WebSocketOutput(_slots, clients, options, memory, metrics);
        _relay = new HttpRelay(_slots, clients);
        _timer = new WebTimer(options, _slots, clients, metrics);
        if (options.SeeOtherUri is { } uri)
            _redirection = [.. WebSocketFrame.Text(FramedStream.CloseFor(uri)), .. WebSocketFrame.Close(CloseCode.GoingAway)];
        servers.Web = _output;
        metrics.WebClients = () => (_slots.Count(WebPhase.WebSocket), _slots.Count(WebPhase.Relay) / 2); // A relay has two connections.
    }

    /// <inheritdoc cref="WebTimer.Start"/>
    public void Start() => _timer.Start();

    /// <inheritdoc cref="WebTimer.Suspend"/>
    public void Suspend() => _timer.Suspend();

    /// <summary>Whether a connection is one of a listener for the web, or the other end of one that is relayed.</summary>
    public bool Serves(in EcmClient state) => _web[state.Listener] is not null;

    /// <inheritdoc cref="IAcceptHandler{TState}.OnAccepted"/>
    public RefusalReason? OnAccepted(ConnectionId id, ref EcmClient state, in NativeAddress peer, int descriptor, TlsFacts? tls, int owner)
    {
        Span<byte> header = stackalloc byte[ProxyHeader.MaxBytes];
        int length = WebProxyHeader.Write(header, peer, NativeSocket.LocalAddress(descriptor), tls);
        state.Web = default;
        if (!_heads.TryAppend(ref state.Web, MaxHeadKept, header[..length])) return RefusalReason.Memory;
        state.Web.IsStranger = true; // Not before: nobody can be made to give way to somebody who is being accepted.
        _metrics.AddIncomplete(WebBuffer.HeldBy(state.Web, MaxHeadKept));
        _slots.Begin(id, owner, state.Listener, WebPhase.Head);
        _timer.AwaitHead(id);
        return null;
    }

    /// <inheritdoc cref="IConnectionHandler{TState}.OnReadable"/>
    public Outcome OnReadable(ConnectionId id, int owner, ref EcmClient state, Link? link, IConnectionInput input)
    {
        if (state.IsRelayed) return _relay.OnReadable(owner, state, input);
        WebPhase phase = _slots[id].Phase;
        if (phase is WebPhase.Closing or WebPhase.Refused) return StanzaFraming.Discard(input);
        if (link is null) return Outcome.Closed;
        if (phase == WebPhase.WebSocket)
        {
            Outcome passes = input.IsAdmitted ? Outcome.Done : _logins.Pass(id, link, ref state, input);
            if (passes is Outcome.Held or Outcome.WouldBlock) return passes;
            if (passes == Outcome.Closed) _input.Refuse(id, link, ref state, new StreamFault(StreamFaultKind.WaitedTooLong, Offset: 0));
            Outcome outcome = passes == Outcome.Done ? _input.Read(link, id, ref state, input) : StanzaFraming.Discard(input);

            // Who is refused needs no turn any more.
            if (_slots[id].Phase != WebPhase.WebSocket) _logins.Leave(id);
            return outcome;
        }

        ReadHead(id, owner, ref state, link, input);
        return Outcome.Done;
    }

    /// <inheritdoc cref="IConnectionHandler{TState}.OnPeerHalfClosed"/>
    public Outcome OnPeerHalfClosed(ConnectionId id, int owner, ref EcmClient state, Link? link)
    {
        if (state.IsRelayed)
        {
            _relay.OnPeerHalfClosed(owner, state);
            return Outcome.Done;
        }

        WebPhase phase = _slots[id].Phase;
        if (phase == WebPhase.Refused) return Outcome.Done;
        FreeInput(ref state, phase);
        if (link is null || !state.Life.IsOpened) return phase == WebPhase.Closing ? Outcome.Done : Outcome.Closed;
        return state.Life.TrySendEnd(link, id.Value) ? Outcome.Done : Outcome.WouldBlock;
    }

    /// <inheritdoc cref="IConnectionHandler{TState}.OnWritePressureChanged"/>
    public Outcome OnWritePressureChanged(ConnectionId id, in EcmClient state, Link? link, bool isHigh)
    {
        ref WebSlot slot = ref _slots[id];
        bool isRelayed = slot.Phase == WebPhase.Relay;
        if (!isRelayed && state.Life.IsOpened && link is not null && !link.TrySetPaused(id.Value, isHigh)) return Outcome.WouldBlock;
        Volatile.Write(ref slot.IsSlow, isHigh);

        // The other end of a relay waits for that as if for room in a ring.
        if (isRelayed && !isHigh) _clients.ReleaseStalled();
        return Outcome.Done;
    }

    /// <inheritdoc cref="IConnectionHandler{TState}.OnClosed"/>
    public Outcome OnClosed(ConnectionId id, int owner, ref EcmClient state, Link? link, CloseReason reason, CloseReason whenRefused)
    {
        if (state.IsRelayed)
        {
            _relay.OnClosed(owner, state, reason);
            if (state.LinkIndex == EcmClient.RelayedClient) _metrics.RemoveConnected();
            bool wasSlow = Volatile.Read(ref _slots[id].IsSlow);
            _output.Forget(id);

            // The other end may wait for this one to be slow no more.
            if (wasSlow) _clients.ReleaseStalled();
            return Outcome.Done;
        }

        WebPhase phase = _slots[id].Phase;
        bool isRefused = phase == WebPhase.Refused;
        FreeInput(ref state, phase);
        if (!state.Life.TrySendClose(link, id.Value, isRefused ? whenRefused : reason)) return Outcome.WouldBlock;
        _metrics.RemoveConnected();
        _servers.RemoveClient(state.LinkIndex, owner);
        if (state.Life.IsOpened && !isRefused) _metrics.AddSessionClosed(reason);
        _output.Forget(id);
        return Outcome.Done;
    }

    /// <summary>Whether this end is to end a connection on an occasion; called with the gate held.</summary>
    public bool MustEnd(ConnectionId id, in EcmClient state, CloseOccasion occasion)
    {
        if (state.IsRelayed) return occasion is CloseOccasion.Drain or CloseOccasion.Kick;
        ref WebSlot slot = ref _slots[id];
        if (occasion != CloseOccasion.Look) return slot.Phase != WebPhase.Refused;
        bool wasStale = slot.IsStale;
        slot.IsStale = slot.Phase == WebPhase.WebSocket && state.Web.Length > 0;
        return slot.IsStale && wasStale;
    }

    /// <summary>Ends a connection, with the gate held: nothing more is accepted from it.</summary>
    /// <returns>What a WebSocket client is still sent, with the farewell in it; nothing: the connection is to be closed.</returns>
    public ReadOnlySpan<byte> Abandon(
        ConnectionId id, scoped ref EcmClient state, Link? link, CloseOccasion occasion, CloseReason reason, byte[] farewell)
    {
        ref WebSlot slot = ref _slots[id];
        if (state.IsRelayed || slot.Phase != WebPhase.WebSocket) return default;
        if (state.Life.IsOpened) _metrics.AddSessionClosed(reason);
        _input.Abandon(ref state);
        slot.Phase = WebPhase.Refused;

        // As over TCP: the server keeps what its client can still resume elsewhere. If there is no room now, it is told when the client is closed.
        state.Life.TrySendClose(link, id.Value, reason);
        if (occasion == CloseOccasion.Drain && _redirection is { } redirection) return redirection;
        CloseCode code = occasion is CloseOccasion.Late or CloseOccasion.Look or CloseOccasion.Kick ? CloseCode.Normal : CloseCode.GoingAway;
        return WebSocketOutput.LastFrames(farewell, slot.HasOpened, code);
    }

    /// <summary>The memory that what is incomplete of a client takes, in bytes.</summary>
    public int HeldBy(ConnectionId id, in EcmClient state) => _slots[id].Phase switch
    {
        WebPhase.Head => WebBuffer.HeldBy(state.Web, MaxHeadKept),
        WebPhase.WebSocket => _input.HeldBy(state),
        _ => 0,
    };

    /// <summary>Refuses a client for want of memory, and frees what it has.</summary>
    public void GiveWay(ConnectionId id, ref EcmClient state, Link link)
    {
        _logins.Leave(id);
        if (_slots[id].Phase == WebPhase.WebSocket) _input.GiveWay(link, id, ref state);
        else Refuse(id, link.Number, ref state, HttpAnswer.Unavailable);
    }

    /// <inheritdoc cref="IConnectionHandler{TState}.OnSlotsGivenBack"/>
    public void OnSlotsGivenBack(int reactor, int first, int count) => _slots.GiveBack(reactor, first, count);

    /// <summary>Writes what belongs to a connection beside its <see cref="EcmClient"/>.</summary>
    /// <exception cref="StateException">It is not there.</exception>
    public void Save(ConnectionId id, in EcmClient state, StateWriter writer)
    {
        ref WebSlot slot = ref _slots[id];
        if (slot.Generation != id.Generation) throw new StateException("a connection for the web: its slot is another's");
        writer.Write(slot.Owner);
        writer.Write(slot.Phase);
        writer.Write(slot.HasOpened);
        writer.Write(slot.IsSlow);
        StreamState server = slot.Server;
        server.Buffer = null;
        writer.Write(server);
        if (server.Length > 0) writer.WriteBytes(StreamSplitter.Held(slot.Server));
        if (!state.IsRelayed && state.Web.Used > 0) writer.WriteBytes(WebBuffer.Content(state.Web));
    }

    /// <summary>Reads what <see cref="Save"/> has written. A client that waits for its head has the time for it anew.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(ConnectionId id, ref EcmClient state, StateReader reader)
    {
        int owner = reader.Read<int>();
        WebPhase phase = reader.Read<WebPhase>();
        bool hasOpened = reader.ReadFlag(), isSlow = reader.ReadFlag();
        StreamState server = reader.Read<StreamState>();
        reader.Check(phase is > WebPhase.None and <= WebPhase.Relay, "how far a connection for the web is");
        reader.Check(state.IsRelayed == (phase == WebPhase.Relay), "an end of a relay");
        reader.Check(server.Buffer == null && server.Length >= 0, "what a server sends");
        ReadOnlySpan<byte> sent = server.Length == 0 ? [] : reader.ReadBytes(server.Length, "a server's incomplete stanza");
        ReadOnlySpan<byte> held = state.IsRelayed || state.Web.Used == 0 ? [] : reader.ReadBytes(int.MaxValue, "what a client has sent");
        reader.Check(TryRestoreInput(ref state, phase, held), "what a client has sent");
        if (!_output.TryRestore(ref server, sent))
        {
            FreeInput(ref state, phase);
            reader.Check(false, "a server's stream");
        }

        _slots.Begin(id, owner, state.Listener, phase);
        ref WebSlot slot = ref _slots[id];
        (slot.HasOpened, slot.IsSlow, slot.Server) = (hasOpened, isSlow, server);
        if (phase == WebPhase.Head) _timer.AwaitHead(id);
    }

    /// <summary>Frees the memory of a connection that was restored and is not served.</summary>
    public void Release(ConnectionId id, ref EcmClient state)
    {
        if (!state.IsRelayed) FreeInput(ref state, _slots[id].Phase);
        _output.Forget(id);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void ReadHead(ConnectionId id, int owner, ref EcmClient state, Link link, IConnectionInput input)
    {
        ReadOnlySpan<byte> received = input.Receive(RequestHead.MaxBytes);
        if (received.IsEmpty) return;
        int held = WebBuffer.HeldBy(state.Web, MaxHeadKept);
        int begin = WebProxyHeader.LengthOf(WebBuffer.Content(state.Web));
        int examined = state.Web.Length - begin;
        if (!_heads.TryAppend(ref state.Web, MaxHeadKept, received))
        {
            Refuse(id, owner, ref state, HttpAnswer.Unavailable);
            return;
        }

        _metrics.AddIncomplete(WebBuffer.HeldBy(state.Web, MaxHeadKept) - held);
        ReadOnlySpan<byte> bytes = WebBuffer.Content(state.Web)[begin..];
        switch (RequestHead.Examine(bytes, examined, _paths[state.Listener], out int length))
        {
            case HeadProgress.Incomplete:
                break;
            case HeadProgress.Other:
                Relay(id, owner, ref state, HttpAnswer.NotFound);
                break;
            case HeadProgress.TooLong:
                Refuse(id, owner, ref state, HttpAnswer.TooLong);
                break;
            case HeadProgress.Malformed:
                Refuse(id, owner, ref state, HttpAnswer.BadRequest);
                break;
            case HeadProgress.Whole:
                AnswerHead(id, owner, ref state, link, bytes, length);
                break;
        }
    }

    private void AnswerHead(ConnectionId id, int owner, ref EcmClient state, Link link, ReadOnlySpan<byte> bytes, int length)
    {
        switch (UpgradeRequest.Read(bytes[..length], out UpgradeRequest request))
        {
            case UpgradeVerdict.NotUpgrade:
                Relay(id, owner, ref state, HttpAnswer.UpgradeRequired);
                break;
            case UpgradeVerdict.WrongVersion:
                Refuse(id, owner, ref state, HttpAnswer.UpgradeRequired);
                break;
            case UpgradeVerdict.NoSubprotocol:
                Refuse(id, owner, ref state, HttpAnswer.NoSubprotocol);
                break;
            case UpgradeVerdict.Accepted when !_web[state.Listener]!.Allows(request.Origin):
                Refuse(id, owner, ref state, HttpAnswer.ForeignOrigin);
                break;
            case UpgradeVerdict.Accepted when bytes.Length == length:
                Upgrade(id, owner, ref state, link, bytes, request.Key);
                break;
            default:
                // A client waits for the answer before it sends frames (RFC 6455, section 4.1): what else is there was smuggled in.
                Refuse(id, owner, ref state, HttpAnswer.BadRequest);
                break;
        }
    }

    private void Upgrade(ConnectionId id, int owner, ref EcmClient state, Link link, ReadOnlySpan<byte> head, ReadOnlySpan<byte> key)
    {
        Span<byte> answer = stackalloc byte[HttpAnswer.SwitchingLength];
        HttpAnswer.WriteSwitching(key, answer);
        ref WebSlot slot = ref _slots[id];

        // Whatever the server sends as soon as it knows of the session comes behind the answer.
        slot.Enter();
        bool isOpened = TryTellServer(id, ref state, link, head);
        if (isOpened)
        {
            slot.Phase = WebPhase.WebSocket;
            _clients.Send(id, owner, answer);
        }

        slot.Exit();
        if (isOpened) FreeInput(ref state, WebPhase.Head);
        else Refuse(id, owner, ref state, HttpAnswer.Unavailable);
    }

    /// <summary>Opens the session with a PROXY header, if there is to be one; where logins are paced not before it is the client's turn.</summary>
    /// <returns>False when the link has no room for it.</returns>
    private bool TryTellServer(ConnectionId id, ref EcmClient state, Link link, ReadOnlySpan<byte> head)
    {
        bool mayWait = _logins.Paces(link);
        if (_options.Proxy == ProxyMode.None && !mayWait) return true;
        ReadOnlySpan<byte> accepted = WebBuffer.Content(state.Web)[..^head.Length];
        WebOptions web = _web[state.Listener]!;
        IPAddress? client = ForwardedFor.Find(
            head, web.ForwardedFrom, web.ForwardedFromUnix, WebProxyHeader.ClientOf(accepted), out bool? speaksTls);
        Span<byte> header = stackalloc byte[ProxyHeader.MaxBytes];
        int length = _options.Proxy == ProxyMode.None ? 0 : WebProxyHeader.WriteWebSocket(
            header, _options.Proxy, accepted, client, speaksTls, PacedClient.MostHeaderBytes(mayWait));
        ClientAddress address = client is null ? ClientAddress.Unix : ClientAddress.Of(new NativeAddress(new IPEndPoint(client, 0)));
        return _logins.TryOpen(id, link, ref state, mayWait, address, header[..length]);
    }

    /// <summary>Relays a connection, which will not log in here, if there is where to; else it is refused.</summary>
    private void Relay(ConnectionId id, int owner, ref EcmClient state, byte[] otherwise)
    {
        ReadOnlySpan<byte> first = WebBuffer.Content(state.Web);
        if (_web[state.Listener]!.HttpTo is not { } to)
        {
            Refuse(id, owner, ref state, otherwise);
        }
        else if (!_relay.TryBegin(id, owner, state, to, first, out ConnectionId server))
        {
            Refuse(id, owner, ref state, HttpAnswer.Unavailable);
        }
        else
        {
            FreeInput(ref state, WebPhase.Head);
            _servers.RemoveClient(state.LinkIndex, owner);
            state.LinkIndex = EcmClient.RelayedClient;
            state.Partner = server;
            _clients.Admit(id, owner);
        }
    }

    /// <summary>Answers a request with the end. What the client still sends is read and dropped, so that it gets the answer.</summary>
    private void Refuse(ConnectionId id, int owner, ref EcmClient state, byte[] answer)
    {
        FreeInput(ref state, WebPhase.Head);
        _slots[id].Phase = WebPhase.Refused;
        _clients.SendLast(id, owner, default, answer);
    }

    private void FreeInput(ref EcmClient state, WebPhase phase)
    {
        if (phase != WebPhase.Head)
        {
            _input.Abandon(ref state);
            return;
        }

        _metrics.AddIncomplete(-WebBuffer.HeldBy(state.Web, MaxHeadKept));
        _heads.Free(ref state.Web, MaxHeadKept);
        state.Web = default;
    }

    private bool TryRestoreInput(ref EcmClient state, WebPhase phase, ReadOnlySpan<byte> held)
    {
        switch (phase)
        {
            case WebPhase.Head:
                bool isHead = state.Web is { Pending: 0, Reading: WebReading.None } && WebProxyHeader.IsAtFront(held);
                if (!isHead || !_heads.TryRestore(ref state.Web, MaxHeadKept, held)) return false;
                _metrics.AddIncomplete(WebBuffer.HeldBy(state.Web, MaxHeadKept));
                return true;
            case WebPhase.WebSocket:
                return _input.TryRestore(ref state, held);
            default:
                return state.IsRelayed || state.Web is { Length: 0, Pending: 0 };
        }
    }
}
