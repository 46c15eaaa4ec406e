using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>How a connection becomes a link: TLS, then the packet that decides what the link will be, and how long there is for both.</summary>
/// <remarks>Belongs to one <see cref="LinkConnection"/>, and takes its packets until one has brought the link up, or has ended it.</remarks>
internal sealed class LinkOpening(
    LinkConnection connection, Socket socket, LinkOrigin origin, LinkOptions options, RoleMetrics metrics, LinkTls? tls, Admission? admission)
    : IPacketSink, IDisposable
{
    private static readonly TimeSpan HelloTimeout = TimeSpan.FromSeconds(10);

    private readonly bool _accepted = origin == LinkOrigin.Accepted;
    private Timer? _timer;
    private Timer? _helloTimer;
    private TaskCompletionSource? _helloIsDue;
    private volatile bool _tlsDone;
    private volatile bool _over;

    /// <summary>What TLS found to be against the link, which is to be told when it says <c>hello</c>; else null.</summary>
    public string? Refusal { get; private set; }

    /// <summary>Links that have not said the secret yet get no more memory than a <c>hello</c> takes.</summary>
    public static int FirstPacketLimit(LinkOrigin origin, LinkOptions options) =>
        origin == LinkOrigin.Accepted && options.Secret is not null
            ? Math.Min(options.MaxPacketBytes, LinkReceiver.LongestHello)
            : options.MaxPacketBytes;

    /// <summary>Bounds the time there is, where there is anything to wait for.</summary>
    /// <param name="welcomeTimeout">How long a connector waits for TLS and the answer to <c>hello</c>.</param>
    public void StartTimer(TimeSpan welcomeTimeout)
    {
        if (tls is null && (_accepted ? options.Secret is null : origin == LinkOrigin.ConnectedPlain)) return;
        TimeSpan timeout = _accepted ? HelloTimeout : welcomeTimeout;
        _timer = new Timer(_ => OnTimeout(timeout), null, timeout, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Does the TLS handshake. Nothing has been said on the connection before it.</summary>
    /// <returns>What to speak through; and why the connection is over, null when it goes on, were it only to be refused.</returns>
    public async Task<(SecuredSocket? Secured, ReceiveEnd? End)> SecureAsync()
    {
        if (tls is null) return default;
        TlsHandshakeResult result = await tls.SecureAsync(socket).ConfigureAwait(false);
        Refusal = result.Refusal;
        _tlsDone = true;
        if ((result.Refusal ?? result.Failure) is not null && !result.Abandoned && !connection.IsClosed)
        {
            // A connector tells failures itself, and not each time.
            if (_accepted) connection.WarnAs(LinkLine.TlsRefused);
            metrics.AddRefused(RefusalReason.Tls);
        }

        if (result.Failure is not null) return (result.Secured, new ReceiveEnd(result.Failure));
        if (result.Refusal is not null) connection.AcceptUpTo(LinkReceiver.LongestHello);
        else if (_accepted && options.Secret is null) _timer?.Dispose();
        return (result.Secured, null);
    }

    /// <inheritdoc/>
    public Outcome Take(ulong id, ReadOnlySpan<byte> content)
    {
        Outcome hello = HoldBack(id);
        if (hello != Outcome.Done) return hello;

        HandshakeResult result = _accepted ? Handshake.OnFirstPacket(id, content, options, Refusal) : Handshake.OnAnswer(id, content);
        if (result.Ignored > 0) metrics.AddControlIgnored(result.Ignored);
        switch (result.Outcome)
        {
            case HandshakeResult.Kind.Up:
                connection.BringUp(result);

                // Without a hello it is a session's packet already.
                return id == PacketHeader.ControlId ? Outcome.Done : ((IPacketSink)connection).Take(id, content);
            case HandshakeResult.Kind.Refuse:
                if (result.WrongSecret) admission?.WrongSecrets.Add(connection.Address, hadWaited: _helloTimer is not null);
                connection.Refuse(result.Reason, Refusal is null ? LinkLine.HelloRefused : LinkLine.TlsRefused);
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
    public void BatchEnded(int packets, int bytes) => connection.CountIn(packets, bytes);

    /// <inheritdoc/>
    public Task WhenRoomAsync() => _helloIsDue!.Task;

    /// <summary>The opening is over, well or not. May be called again.</summary>
    public void Dispose()
    {
        _over = true;
        _timer?.Dispose();
        _helloTimer?.Dispose();
        _helloIsDue?.TrySetResult();
    }

    /// <summary>
    /// Holds back a <c>hello</c> whose secret may not be looked at yet, because wrong ones came from its address. Nothing more is read
    /// from the connection meanwhile.
    /// </summary>
    /// <returns><see cref="Outcome.Done"/>: the packet may be looked at.</returns>
    private Outcome HoldBack(ulong id)
    {
        if (admission is null || options.Secret is null || id != PacketHeader.ControlId || Refusal is not null) return Outcome.Done;
        if (_helloIsDue is not null) return connection.IsClosed ? Outcome.Closed : Outcome.Done;
        if (!admission.WrongSecrets.TryTakeTurn(connection.Address, out TimeSpan wait))
        {
            connection.Refuse("too many wrong secrets from this address; try again later", LinkLine.HelloRefused);
            return Outcome.Closed;
        }

        if (wait == TimeSpan.Zero) return Outcome.Done;
        TaskCompletionSource due = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _helloIsDue = due;
        _helloTimer = new Timer(_ => due.TrySetResult(), null, wait, Timeout.InfiniteTimeSpan);
        return Outcome.WouldBlock;
    }

    private void OnTimeout(TimeSpan timeout)
    {
        if (_over) return;
        string within = $"within {timeout.TotalSeconds:0.###} s";
        if (tls is not null && !_tlsDone)
        {
            metrics.AddRefused(RefusalReason.Tls);
            connection.Close($"no TLS handshake {within}");
        }
        else if (!_accepted)
        {
            connection.Close($"no answer to hello {within}; if the other side speaks only the plain protocol, set Ecm:Link:Control false");
        }
        else if (_helloTimer is not null)
        {
            connection.Close($"its hello came late, and after wrong secrets from its address could not be looked at {within}");
        }
        else if (Refusal is not null || options.Secret is not null)
        {
            connection.Close(Refusal ?? $"no hello {within}, and here a secret is wanted");
        }
    }
}
