using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Unix;

namespace Megaphone.Links;

/// <summary>Keeps one link to one address: connects, runs it, and when it has ended reconnects, with exponential back-off and jitter.</summary>
internal sealed class LinkConnector(
    LinkConnectOptions connect,
    TargetAddress to,
    LinkOptions options,
    ILinkHandler handler,
    RoleMetrics metrics,
    LinkLog log,
    LinkTls? tls = null)
{
    /// <summary>The longest wait for a TCP connection, and between two attempts, while sessions wait for a link that is cut.</summary>
    private static readonly TimeSpan CutTimeout = TimeSpan.FromMilliseconds(750), CutRetryMax = TimeSpan.FromMilliseconds(100);

    /// <summary>How often it is looked whether what a link has sent arrives.</summary>
    private static readonly TimeSpan StallCheck = TimeSpan.FromMilliseconds(500);

    /// <summary>A connection that was made while that of the link stalled, and is to take its place.</summary>
    private Socket? _replacement;
    private volatile LinkConnection? _connection;

    /// <summary>Called when an attempt has failed or a link has ended, before the wait for the next attempt.</summary>
    public Action OnEnded { get; init; } = () => { };

    /// <summary>
    /// What to wait for before the next attempt instead of the back-off, since the handler closed the link for lack of need; null where it
    /// did not.
    /// </summary>
    public Func<Task?> UntilNeeded { get; init; } = () => null;

    /// <summary>Which of its process's links it is, for the other end to find it again; null: a link that is cut is lost.</summary>
    public LinkSlot? Slot { get; init; }

    /// <summary>Runs until cancelled; a link that is up then is left for its owner to drain or close, and one that is cut for its owner to
    /// lose. Never throws.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        await KeepConnectedAsync(stop).ConfigureAwait(false);
        _replacement?.Dispose();
    }

    /// <summary>Closes the connection that there is, because the process stands still.</summary>
    public void Suspend() => _connection?.Suspend();

    private async Task KeepConnectedAsync(CancellationToken stop)
    {
        string? logged = null;
        for (int attempt = 1; !stop.IsCancellationRequested; attempt++)
        {
            (string? failure, bool warned) = await ConnectAndRunAsync(stop).ConfigureAwait(false);
            OnEnded();
            if (stop.IsCancellationRequested) return;
            if (_replacement is not null) continue;
            if (UntilNeeded() is { } needed)
            {
                (attempt, logged) = (0, null);
                await needed.WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }

            if (failure is null)
            {
                // It was up for a while: restart the back-off; jitter keeps all ECMs from reconnecting at once.
                attempt = 1;
                logged = null;
            }

            TimeSpan wait = Wait(attempt);
            if (failure is not null)
            {
                // One warning for as long as the reason is the same; each attempt is logged at Debug. That a link is cut has been logged.
                if (Slot?.Cut is null)
                {
                    if (failure != logged && !warned) log.NoLink(to.ToString(), failure, connect.RetryMax.TotalSeconds);
                    logged = failure;
                }

                log.AttemptFailed(attempt, to.ToString(), failure, (long)wait.TotalMilliseconds);
            }

            await Task.Delay(wait, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>
    /// Null when the link had been up for longer than RetryMax, else why it was not; and whether the
    /// connection itself has logged a warning.
    /// </returns>
    private async Task<(string? Failure, bool Warned)> ConnectAndRunAsync(CancellationToken stop)
    {
        LinkConnection? connected = null;
        Socket? socket = null;
        try
        {
            // Each step may fail: there may be no descriptor, and the other side may have reset what it just accepted.
            string? failure = null;
            socket = Interlocked.Exchange(ref _replacement, null);
            if (socket is null)
                (socket, failure) = await ConnectAsync(Slot?.Cut is null ? connect.ConnectTimeout : CutTimeout, stop).ConfigureAwait(false);
            if (socket is null) return (failure, false);
            LinkOrigin origin = connect.Control ? LinkOrigin.Connected : LinkOrigin.ConnectedPlain;
            connected = new LinkConnection(socket, origin, options, handler, metrics, log, tls, peerName: to.Target.Host, slot: Slot);
        }
        catch (Exception e)
        {
            // Whatever the exception is: this task keeps the link connected, and nothing would restart it.
            return (e.Message, false);
        }
        finally
        {
            if (connected is null) socket?.Dispose();
        }

        using LinkConnection connection = connected;
        _connection = connection;
        using CancellationTokenRegistration registration = stop.Register(() =>
        {
            // A link that is up is drained by its owner; one that is not has nothing to drain.
            if (connection.Link is null) connection.Close("shutting down");
        });
        Task ended = connection.RunAsync(connect.ConnectTimeout);
        if (Slot is not null) await ReplaceIfStalledAsync(connection, ended, stop).ConfigureAwait(false);
        await ended.ConfigureAwait(false);
        return (connection.Link is not null && connection.Age > connect.RetryMax ? null : connection.CloseReason, connection.HasWarned);
    }

    /// <summary>
    /// Connects. While a network is away this fails many times a second, so it does without exceptions, which take tens of KiB each.
    /// </summary>
    /// <returns>Null, and why, when there is no connection.</returns>
    /// <exception cref="SocketException">There can be no socket.</exception>
    private async Task<(Socket? Socket, string? Failure)> ConnectAsync(TimeSpan atMost, CancellationToken stop)
    {
        if (atMost > connect.ConnectTimeout) atMost = connect.ConnectTimeout;
        UnixEndPoint? unix = to.EndPoint as UnixEndPoint;
        Socket socket = new(to.EndPoint.AddressFamily, SocketType.Stream, unix is null ? ProtocolType.Tcp : ProtocolType.Unspecified);
        SocketError error = SocketError.OperationAborted;
        try
        {
            using SocketAsyncEventArgs attempt = new() { RemoteEndPoint = unix is null ? to.EndPoint : unix.ForSocket() };
            TaskCompletionSource completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
            attempt.Completed += (_, _) => completed.TrySetResult();
            if (socket.ConnectAsync(attempt))
            {
                using CancellationTokenSource timeout = CancellationTokenSource.CreateLinkedTokenSource(stop);
                using CancellationTokenRegistration registration = timeout.Token.Register(() => Socket.CancelConnectAsync(attempt));
                timeout.CancelAfter(atMost);
                await completed.Task.ConfigureAwait(false);
            }

            error = attempt.SocketError;
        }
        finally
        {
            if (error != SocketError.Success) socket.Dispose();
        }

        return error switch
        {
            SocketError.Success => (socket, null),
            SocketError.OperationAborted => (null, $"no connection within {atMost.TotalSeconds:0.###} s"),
            _ => (null, new SocketException((int)error).Message),
        };
    }

    /// <summary>While nothing arrives of what a link has sent, tries whether another connection can be made, and leaves the link to that. TCP
    /// waits twice as long before each time that it sends again, and so may find out late that the network is back.</summary>
    private async Task ReplaceIfStalledAsync(LinkConnection connection, Task ended, CancellationToken stop)
    {
        while (await Task.WhenAny(ended, Task.Delay(StallCheck, CancellationToken.None)).ConfigureAwait(false) != ended)
        {
            while (connection.IsStalled && !stop.IsCancellationRequested)
            {
                if (await TryConnectAsync(stop).ConfigureAwait(false) is not { } other) continue;
                if (connection.IsStalled)
                {
                    _replacement = other;
                    connection.Close("what was sent over it does not arrive, while another connection can be made");
                    return;
                }

                other.Dispose();
            }
        }
    }

    /// <returns>Null, after a moment at least, when there is no connection now.</returns>
    private async Task<Socket?> TryConnectAsync(CancellationToken stop)
    {
        Socket? socket = null;
        try
        {
            (socket, _) = await ConnectAsync(CutTimeout, stop).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            // There may be a descriptor for it next time.
        }

        if (socket is null) await Task.Delay(CutRetryMax, CancellationToken.None).ConfigureAwait(false);
        return socket;
    }

    /// <summary>The delay doubles from RetryMin to RetryMax; half of it is random.</summary>
    private TimeSpan Wait(int attempt)
    {
        TimeSpan most = Slot?.Cut is null || connect.RetryMax < CutRetryMax ? connect.RetryMax : CutRetryMax;
        double full = Math.Min(connect.RetryMin.TotalMilliseconds * Math.Pow(2, Math.Min(attempt - 1, 30)), most.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(full * (0.5 + Random.Shared.NextDouble() / 2));
    }
}
