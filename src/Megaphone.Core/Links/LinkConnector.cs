using System.Net.Sockets;
using Megaphone.Metrics;

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
    private static readonly TimeSpan CutTimeout = TimeSpan.FromSeconds(1), CutRetryMax = TimeSpan.FromMilliseconds(250);

    /// <summary>Called when an attempt has failed or a link has ended, before the wait for the next attempt.</summary>
    public Action OnEnded { get; init; } = () => { };

    /// <summary>
    /// What to wait for before the next attempt instead of the back-off, since the handler closed the link for lack of need; null where it
    /// did not.
    /// </summary>
    public Func<Task?> UntilNeeded { get; init; } = () => null;

    /// <summary>Which of its process's links it is, for the other end to find it again; null: a link that is cut is lost.</summary>
    public LinkSlot? Slot { get; init; }

    /// <summary>Runs until cancelled; a link that is up then is left for its owner to drain or close. Never throws.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        await KeepConnectedAsync(stop).ConfigureAwait(false);
        Slot?.Cut?.Lose("shutting down");
    }

    private async Task KeepConnectedAsync(CancellationToken stop)
    {
        string? logged = null;
        for (int attempt = 1; !stop.IsCancellationRequested; attempt++)
        {
            (string? failure, bool warned) = await ConnectAndRunAsync(stop).ConfigureAwait(false);
            OnEnded();
            if (stop.IsCancellationRequested) return;
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
            socket = new Socket(to.EndPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            using CancellationTokenSource timeout = CancellationTokenSource.CreateLinkedTokenSource(stop);
            timeout.CancelAfter(Slot?.Cut is null || connect.ConnectTimeout < CutTimeout ? connect.ConnectTimeout : CutTimeout);
            await socket.ConnectAsync(to.EndPoint, timeout.Token).ConfigureAwait(false);
            LinkOrigin origin = connect.Control ? LinkOrigin.Connected : LinkOrigin.ConnectedPlain;
            connected = new LinkConnection(socket, origin, options, handler, metrics, log, tls, peerName: to.Target.Host, slot: Slot);
        }
        catch (OperationCanceledException)
        {
            return ($"no connection within {connect.ConnectTimeout.TotalSeconds:0.###} s", false);
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
        using CancellationTokenRegistration registration = stop.Register(() =>
        {
            // A link that is up is drained by its owner; one that is not has nothing to drain.
            if (connection.Link is null) connection.Close("shutting down");
        });
        await connection.RunAsync(connect.ConnectTimeout).ConfigureAwait(false);
        return (connection.Link is not null && connection.Age > connect.RetryMax ? null : connection.CloseReason, connection.HasWarned);
    }

    /// <summary>The delay doubles from RetryMin to RetryMax; half of it is random.</summary>
    private TimeSpan Wait(int attempt)
    {
        TimeSpan most = Slot?.Cut is null || connect.RetryMax < CutRetryMax ? connect.RetryMax : CutRetryMax;
        double full = Math.Min(connect.RetryMin.TotalMilliseconds * Math.Pow(2, Math.Min(attempt - 1, 30)), most.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(full * (0.5 + Random.Shared.NextDouble() / 2));
    }
}
