using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>The beginning of a connection from a proxy, up to the end of its PROXY header: then it is that of the client that this names.</summary>
/// <remarks>
/// The header alone is received: what is behind it may be the beginning of TLS, which OpenSSL receives itself. Of one that is not whole TCP keeps
/// what has arrived, and tells when the rest has; a Unix socket would tell of the same bytes over and over, so it is received as it comes.
/// </remarks>
internal sealed unsafe class ProxyNegotiation(
    IReadOnlyList<ClientListenerOptions> listeners, PendingSockets sockets, ReactorGroup<EcmClient> clients, RoleMetrics metrics)
{
    /// <summary>Handles what has arrived. Afterwards the client waits for more, is a reactor's, or is gone.</summary>
    public void Handle(PendingHandshake client)
    {
        byte* bytes = stackalloc byte[ReceivedProxyHeader.MaxBytes];
        int kept = client.ProxyStart?.Length ?? 0;
        client.ProxyStart?.CopyTo(new Span<byte>(bytes, kept));
        nint arrived = Libc.Receive(
            client.Descriptor, bytes + kept, (nuint)(ReceivedProxyHeader.MaxBytes - kept), Libc.MsgDontWait | Libc.MsgPeek);
        ReceivedProxyHeader header = ReceivedProxyHeader.Read(new ReadOnlySpan<byte>(bytes, kept + (int)Math.Max(0, arrived)));
        switch (header.State)
        {
            case ReceivedProxyHeader.Progress.Incomplete when client.Peer.IsUnix && arrived > 0:
                _ = Libc.Receive(client.Descriptor, bytes + kept, (nuint)arrived, Libc.MsgDontWait);
                client.ProxyStart = new ReadOnlySpan<byte>(bytes, kept + (int)arrived).ToArray();
                sockets.Arm(client, Libc.EpollIn);
                break;
            case ReceivedProxyHeader.Progress.Incomplete when arrived > client.ProxyBytes:
                client.ProxyBytes = (int)arrived;
                NativeSocket.ReportFrom(client.Descriptor, header.Bytes);
                sockets.Arm(client, Libc.EpollIn);
                break;
            case ReceivedProxyHeader.Progress.Whole:
                _ = Libc.Receive(client.Descriptor, bytes, (nuint)(header.Bytes - kept), Libc.MsgDontWait);
                client.ProxyStart = null;
                NativeSocket.ReportFrom(client.Descriptor, 1);
                if (header.Client is { } named) client.Peer = new NativeAddress(named);
                Begin(client);
                break;
            case ReceivedProxyHeader.Progress.Malformed:
                metrics.AddRefused(RefusalReason.ProxyHeader);
                sockets.Drop(client, HandshakeEnd.Failed);
                break;
            default:
                // The kernel reports input only when there is as much as is wanted, or when no more will come.
                sockets.Drop(client, HandshakeEnd.Abandoned);
                break;
        }
    }

    private void Begin(PendingHandshake client)
    {
        client.AwaitsProxyHeader = false;
        if (!clients.TryArrive(client.Descriptor, client.Peer, client.Listener))
        {
            sockets.Forget(client);
            return;
        }

        client.HasArrived = true;
        if (listeners[client.Listener].Tls != ClientTls.None)
        {
            sockets.Arm(client, Libc.EpollIn);
            return;
        }

        AcceptedTls none = default;
        sockets.Hand(client);
        clients.Accept(client.Descriptor, client.Peer, client.Listener, ref none);
        clients.Flush();
    }
}
