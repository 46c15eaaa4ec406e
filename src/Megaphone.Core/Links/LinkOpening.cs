using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>The opening of a connection: TLS, then the packet that decides what the link will be, and the timeout for both.</summary>
/// <remarks>Belongs to one <see cref="LinkConnection"/>, and handles its packets until one has brought the link up or ended the connection.</remarks>
internal sealed class LinkOpening(
    LinkConnection connection,
    Socket socket,
    LinkOrigin origin,
    LinkOptions options,
    RoleMetrics metrics,
    LinkTls? tls,
    PreAuthLimits? preAuth,
    string? peerName,
    LinkSlot? slot)
    : IPacketSink, IDisposable
{
    private static readonly TimeSpan HelloTimeout = TimeSpan.FromSeconds(10);

    /// <summary>For how long a link waits at most, whatever the other end says.</summary>
    public static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(1);

    private readonly bool _accepted = origin == LinkOrigin.Accepted;
    private ITimer? _timer;
    private ITimer? _helloTimer;
    private TaskCompletionSource? _helloIsDue;

    /// <summary>The link that the hello asks to be taken up.</summary>
    private Link? _asked;

    /// <summary>The connection that has to end before the hello can be answered.</summary>
    private LinkConnection? _standing;
    private volatile bool _tlsDone;
    private volatile bool _ended;

    /// <summary>Why TLS refuses the link, which is the answer to its <c>hello</c>; null: it does not.</summary>
    public string? Refusal { get; private set; }

    /// <summary>The longest first packet: a link that has not authenticated gets no more memory than a <c>hello</c> takes.</summary>
    public static int FirstPacketLimit(LinkOrigin origin, LinkOptions options) =>
        origin == LinkOrigin.Accepted && options.Secret is not null
            ? Math.Min(options.MaxPacketBytes, LinkReceiver.LongestHello)
            : options.MaxPacketBytes;

    /// <summary>Starts the timeout, if there is anything to wait for.</summary>
    /// <param name="welcomeTimeout">How long a connector waits for TLS and the answer to <c>hello</c>.</param>
    public void StartTimer(TimeSpan welcomeTimeout)
    {
        if (tls is null && (_accepted ? options.Secret is null : origin == LinkOrigin.ConnectedPlain)) return;
        TimeSpan timeout = _accepted ? HelloTimeout : welcomeTimeout;
        _timer = options.Time.CreateTimer(_ => OnTimeout(timeout), null, timeout, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Does the TLS handshake, if there is TLS. Nothing has been sent or received before it.</summary>
    /// <returns>The TLS stream; and why the connection ends, null when it goes on, if only to be refused.</returns>
    public async Task<(SecuredSocket? Secured, LinkReceiver.End? End)> SecureAsync()
    {
        if (tls is null) return default;
        LinkTls.Result result = await tls.SecureAsync(socket, peerName).ConfigureAwait(false);
        Refusal = result.Refusal;
        _tlsDone = true;
        if ((result.Refusal ?? result.Failure) is not null && !result.Abandoned && !connection.IsClosed)
        {
            // A connector logs failures itself, and not each time.
            if (_accepted) connection.WarnAs(LinkEvent.TlsRefused);
            metrics.AddRefused(RefusalReason.Tls);
        }

        if (result.Failure is not null) return (result.Secured, new LinkReceiver.End(result.Failure));
        if (result.Refusal is not null) connection.AcceptUpTo(LinkReceiver.LongestHello);
        else if (_accepted && options.Secret is null) _timer?.Dispose();
        return (result.Secured, null);
    }

    /// <summary>Brings up a link on which nothing has to be agreed.</summary>
    public void BringUpPlain() => BringUpNew(new HandshakeResult(HandshakeResult.Kind.Up), terms: null);

    /// <summary>The hello of a connecting end, which asks for the link of its slot if that is cut.</summary>
    public ControlMessage Hello()
    {
        _asked = slot?.Cut;
        return ControlMessage.Hello(
            options.Name, options.Secret, options.Framing, options.MaxPacketBytes, slot?.Offer(_asked, options.RingBytes));
    }

    /// <summary>The welcome of an accepting end.</summary>
    public ControlMessage Welcome(Link link, bool isResumed)
    {
        ControlResume? resume = link.Terms is not { } terms ? null : new ControlResume
        {
            Token = terms.Token,
            Timeout = terms.Timeout,
            Window = options.RingBytes,
            Received = isResumed ? link.Acknowledger!.Received : null,
        };
        return ControlMessage.Welcome(options.Name, options.MaxPacketBytes, options.KeepAlive, resume);
    }

    /// <inheritdoc/>
    public Outcome Accept(ulong id, ReadOnlySpan<byte> content)
    {
        if (connection.IsClosed) return Outcome.Closed;
        Outcome hello = ThrottleHello(id);
        if (hello != Outcome.Done) return hello;

        HandshakeResult result = _accepted ? Handshake.OnFirstPacket(id, content, options, Refusal) : Handshake.OnAnswer(id, content);
        if (result.Ignored > 0) metrics.AddControlIgnored(result.Ignored);
        switch (result.Outcome)
        {
            case HandshakeResult.Kind.Up:
                Outcome outcome = _accepted ? BringUpAccepted(result) : BringUpConnected(result);

                // Without a hello it is a session's packet.
                return outcome != Outcome.Done || id == PacketHeader.ControlId ? outcome : connection.AcceptFirst(id, content);
            case HandshakeResult.Kind.Refuse:
                if (result.WrongSecret) preAuth?.Throttle.AddFailure(connection.Address, hadWaited: _helloTimer is not null);
                connection.Refuse(result.Reason, Refusal is null ? LinkEvent.HelloRefused : LinkEvent.TlsRefused);
                break;
            case HandshakeResult.Kind.Violation:
                if (result.Unauthorized) metrics.AddRefused(RefusalReason.Hello);
                connection.EndForViolation(result.Reason);
                break;
            default:
                connection.End(result.Reason);
                break;
        }

        return Outcome.Closed;
    }

    /// <inheritdoc/>
    public void OnBatchEnd(int packets, int bytes) => connection.AddReceived(packets, bytes);

    /// <inheritdoc/>
    public Task WaitForRoomAsync() => _standing?.Closed ?? _helloIsDue!.Task;

    /// <summary>Ends the opening, successful or not. May be called again.</summary>
    public void Dispose()
    {
        _ended = true;
        _timer?.Dispose();
        _helloTimer?.Dispose();
        _helloIsDue?.TrySetResult();
    }

    /// <summary>Takes up the link that a <c>hello</c> asks for, or makes a new one.</summary>
    private Outcome BringUpAccepted(in HandshakeResult agreed)
    {
        if (preAuth?.Links is not { } links)
        {
            BringUpNew(agreed, terms: null);
            return Outcome.Done;
        }

        // Its other connection may not have been found dead yet, as after a network that dropped everything.
        Link? resumed = links.Find(agreed.Name, agreed.Resume, agreed.MaxPacket ?? options.MaxPacketBytes);
        if (resumed is { IsCut: false, IsOver: false }) return WaitForEnd(resumed.Connection!, "its other end has connected again", forGood: false);
        if (resumed is not null && TryTakeUp(resumed, agreed) is { } outcome) return outcome;

        Link? previous = links.Supersede(agreed.Name, agreed.Resume, out bool isNameShared);
        if (isNameShared) connection.LogNameShared(agreed.Name);
        if (previous is { IsCut: false })
            return WaitForEnd(previous.Connection!, LinkRegistry.Superseded, forGood: true);
        if (!links.TryAdmit())
        {
            metrics.AddRefused(RefusalReason.TooMany);
            string reason = $"MaxLinks ({links.MaxLinks}) is reached";
            if (agreed.Control) connection.Refuse(reason, LinkEvent.TooMany);
            else connection.End(reason);
            return Outcome.Closed;
        }

        Link link;
        try
        {
            link = connection.Make(agreed, links.TermsFor(agreed.Resume));
        }
        catch
        {
            links.Free();
            throw;
        }

        // The other end may come back for it as soon as it has the welcome, which BringUp sends.
        links.Add(link, agreed.Name, agreed.Resume);
        BringUp(agreed, link, isResumed: false);
        return Outcome.Done;
    }

    /// <summary>Takes up the link of this end's slot, if the other end has it, or makes a new one.</summary>
    private Outcome BringUpConnected(in HandshakeResult agreed)
    {
        ControlResume? resume = agreed.Resume;
        if (_asked is { } asked)
        {
            if (resume?.Token == asked.Terms!.Token)
            {
                if (TryTakeUp(asked, agreed) is { } outcome) return outcome;
                connection.CloseForGood("it came back when it had been given up");
                return Outcome.Closed;
            }

            asked.Lose("the other end has it no more");
        }

        ResumeTerms? terms = slot is not null && resume is { Token: { } token, Timeout: { } timeout, Window: { } window and <= ResumeTerms.MaxWindow }
            ? new ResumeTerms(token, timeout < LongestTimeout ? timeout : LongestTimeout, window)
            : null;
        Link link = BringUpNew(agreed, terms);
        slot?.Set(link);
        return Outcome.Done;
    }

    private Link BringUpNew(in HandshakeResult agreed, ResumeTerms? terms)
    {
        Link link = connection.Make(agreed, terms);
        BringUp(agreed, link, isResumed: false);
        return link;
    }

    private void BringUp(in HandshakeResult agreed, Link link, bool isResumed)
    {
        try
        {
            connection.BringUp(agreed, link, isResumed);
        }
        catch
        {
            // No connection will ever end it.
            link.End(isKnown: isResumed);
            link.CloseRing();
            throw;
        }
    }

    /// <returns>Null when the link is over meanwhile.</returns>
    private Outcome? TryTakeUp(Link link, in HandshakeResult agreed)
    {
        if (link.TryTakeUp(agreed.Resume!.Received ?? 0, out bool isPossible))
        {
            BringUp(agreed, link, isResumed: true);
            return Outcome.Done;
        }

        if (isPossible) return null;
        string what = $"{agreed.Resume.Received} bytes are said to be received, which were not sent or do not end with a packet";
        link.Lose(what);
        connection.EndForViolation(what);
        return Outcome.Closed;
    }

    private Outcome WaitForEnd(LinkConnection standing, string reason, bool forGood)
    {
        _standing = standing;
        if (forGood) standing.CloseForGood(reason);
        else standing.Close(reason);
        return Outcome.WouldBlock;
    }

    /// <summary>
    /// Delays a <c>hello</c> after wrong secrets from its address. Nothing more is read from the connection
    /// meanwhile.
    /// </summary>
    /// <returns><see cref="Outcome.Done"/>: the packet may be handled.</returns>
    private Outcome ThrottleHello(ulong id)
    {
        if (preAuth is null || options.Secret is null || id != PacketHeader.ControlId || Refusal is not null) return Outcome.Done;
        if (_helloIsDue is not null) return connection.IsClosed ? Outcome.Closed : Outcome.Done;
        if (!preAuth.Throttle.TryReserveAttempt(connection.Address, out TimeSpan wait))
        {
            connection.Refuse("too many wrong secrets from this address; try again later", LinkEvent.HelloRefused);
            return Outcome.Closed;
        }

        if (wait == TimeSpan.Zero) return Outcome.Done;
        TaskCompletionSource due = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _helloIsDue = due;
        _helloTimer = options.Time.CreateTimer(_ => due.TrySetResult(), null, wait, Timeout.InfiniteTimeSpan);
        return Outcome.WouldBlock;
    }

    private void OnTimeout(TimeSpan timeout)
    {
        if (_ended) return;
        string within = $"within {timeout.TotalSeconds:0.###} s";
        if (tls is not null && !_tlsDone)
        {
            metrics.AddRefused(RefusalReason.Tls);
            connection.Close($"no TLS handshake {within}");
        }
        else if (!_accepted)
        {
            connection.Close($"no answer to hello {within}; if the other side supports only the plain protocol, set Ecm:Link:Control to false");
        }
        else if (_helloTimer is not null)
        {
            connection.Close($"its hello came late, and because of wrong secrets from its address was not checked {within}");
        }
        else if (Refusal is not null || options.Secret is not null)
        {
            connection.Close(Refusal ?? $"no hello {within}, and a secret is required here");
        }
    }
}
