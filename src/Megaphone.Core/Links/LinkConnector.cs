using System.Net.Sockets;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Keeps one link connected: connects, runs it, and when it is over connects again, with back-off and jitter.</summary>
internal sealed class LinkConnector(
    LinkConnectOptions connect, LinkOptions options, ILinkHandler handler, RoleMetrics metrics, LinkLog log, LinkTls? tls = null)
{
    /// <summary>Runs until cancelled; a link that is up then is left to whoever drains or closes it. Never throws.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        string? told = null;
        for (int attempt = 1; !stop.IsCancellationRequested; attempt++)
        {
            (string? failure, bool known) = await ConnectAndRunAsync(stop).ConfigureAwait(false);
            if (stop.IsCancellationRequested) return;
            if (failure is null)
            {
                // It was up for a while: begin anew, but not all ECMs at once.
                attempt = 1;
                told = null;
            }

            TimeSpan wait = Wait(attempt);
            if (failure is not null)
            {
                // One line for as long as the reason is the same; the rest is for who looks closely.
                if (failure != told && !known) log.NoLink(connect.To.ToString(), failure, connect.RetryMax.TotalSeconds);
                told = failure;
                log.AttemptFailed(attempt, connect.To.ToString(), failure, (long)wait.TotalMilliseconds);
            }

            await Task.Delay(wait, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>
    /// Null when the link had been up for longer than the longest wait, else why it was not, or went so soon; and whether the
    /// operator has been warned by the link itself.
    /// </returns>
    private async Task<(string? Failure, bool Known)> ConnectAndRunAsync(CancellationToken stop)
    {
        LinkConnection? connected = null;
        Socket? socket = null;
        try
        {
            // All of it may fail: there may be no descriptor, and the other side may have reset what it just accepted.
            socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            using CancellationTokenSource timeout = CancellationTokenSource.CreateLinkedTokenSource(stop);
            timeout.CancelAfter(connect.ConnectTimeout);
            await socket.ConnectAsync(connect.To.Host, connect.To.Port, timeout.Token).ConfigureAwait(false);
            connected = new LinkConnection(
                socket, connect.Control ? LinkOrigin.Connected : LinkOrigin.ConnectedPlain, options, handler, metrics, log, tls);
        }
        catch (OperationCanceledException)
        {
            return ($"no connection within {connect.ConnectTimeout.TotalSeconds:0.###} s", false);
        }
        catch (Exception e)
        {
            // Whatever it was: this task is what keeps the link connected, and nobody would start it again.
            return (e.Message, false);
        }
        finally
        {
            if (connected is null) socket?.Dispose();
        }

        using LinkConnection connection = connected;
        using CancellationTokenRegistration registration = stop.Register(() =>
        {
            // One that is up is drained by its owner; one that is not has nothing to drain.
            if (connection.Link is null) connection.Close("asked to stop");
        });
        await connection.RunAsync(connect.ConnectTimeout).ConfigureAwait(false);
        return (connection.Link is not null && connection.Age > connect.RetryMax ? null : connection.CloseReason, connection.HasWarned);
    }

    /// <summary>The wait doubles from RetryMin to RetryMax; half of it is left to chance.</summary>
    private TimeSpan Wait(int attempt)
    {
        double full = Math.Min(connect.RetryMin.TotalMilliseconds * Math.Pow(2, Math.Min(attempt - 1, 30)), connect.RetryMax.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(full * (0.5 + Random.Shared.NextDouble() / 2));
    }
}
