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
    string? peerName)
    : IPacketSink, IDisposable
{
    private static readonly TimeSpan HelloTimeout = TimeSpan.FromSeconds(10);

    private readonly bool _accepted = origin == LinkOrigin.Accepted;
    private ITimer? _timer;
    private ITimer? _helloTimer;
    private TaskCompletionSource? _helloIsDue;
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

    /// <inheritdoc/>
    public Outcome Accept(ulong id, ReadOnlySpan<byte> content)
    {
        Outcome hello = ThrottleHello(id);
        if (hello != Outcome.Done) return hello;

        HandshakeResult result = _accepted ? Handshake.OnFirstPacket(id, content, options, Refusal) : Handshake.OnAnswer(id, content);
        if (result.Ignored > 0) metrics.AddControlIgnored(result.Ignored);
        switch (result.Outcome)
        {
            case HandshakeResult.Kind.Up:
                connection.BringUp(result);

                // Without a hello it is a session's packet.
                return id == PacketHeader.ControlId ? Outcome.Done : ((IPacketSink)connection).Accept(id, content);
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
    public Task WaitForRoomAsync() => _helloIsDue!.Task;

    /// <summary>Ends the opening, successful or not. May be called again.</summary>
    public void Dispose()
    {
        _ended = true;
        _timer?.Dispose();
        _helloTimer?.Dispose();
        _helloIsDue?.TrySetResult();
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
