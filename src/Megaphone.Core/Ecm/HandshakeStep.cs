using System.Diagnostics;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>The handshake, as far as the received bytes allow; when it is done the client goes to the reactors.</summary>
internal sealed class HandshakeStep(
    EcmTlsOptions options, IReadOnlyList<ClientListenerOptions> listeners, TlsServer server, PendingHandshakes pending, PendingSockets sockets,
    ReactorGroup<EcmClient> clients, RoleMetrics metrics, EcmLog log)
{
    /// <summary>Goes on with it. Afterwards the client waits for more, is a reactor's, is rejected, or is gone.</summary>
    public void Advance(PendingHandshake client)
    {
        if (client.Session is null) client.HandshakeBeganAt = Stopwatch.GetTimestamp();
        client.Session ??= server.Open(client.Descriptor, client.Host);
        if (client.Session is not { } session)
        {
            sockets.Drop(client, HandshakeEnd.Dropped);
            return;
        }

        TlsServer.Expects = listeners[client.Listener].Web is null ? TlsProtocol.Xmpp : TlsProtocol.Http;
        switch (session.Handshake(ref pending.SecretsOf(client)))
        {
            case TlsStatus.Done:
                Accept(client, session);
                break;
            case TlsStatus.WantRead:
                sockets.Arm(client, Libc.EpollIn);
                break;
            case TlsStatus.WantWrite:
                sockets.Arm(client, Libc.EpollOut);
                break;
            case TlsStatus.Failed:
                if (log.LogsClients) log.HandshakeFailed(client.Peer.ToString(), OpenSsl.DescribeError());
                sockets.Reject(client, HandshakeEnd.Failed);
                break;
            default:
                sockets.Drop(client, HandshakeEnd.Abandoned);
                break;
        }
    }

    private void Accept(PendingHandshake client, TlsSession session)
    {
        AcceptedTls tls = new() { Facts = session.Facts(options.ChannelBinding) };
        if (server.Records == RecordLayer.OpenSsl)
        {
            tls.Session = session;
        }
        else if (pending.SecretsOf(client).TryTakeOver(session.Handle, ref tls.State))
        {
            session.Free();
        }
        else
        {
            sockets.Drop(client, HandshakeEnd.NotTakenOver);
            return;
        }

        sockets.Hand(client);
        metrics.AddHandshake(tls.Facts.Resumed ? HandshakeEnd.Resumed : HandshakeEnd.Full);
        metrics.HandshakeTimes.Add(Stopwatch.GetElapsedTime(client.HandshakeBeganAt), TimeHistogram.ShortBounds);
        clients.Accept(client.Descriptor, client.Peer, client.Listener, ref tls);
        clients.Flush();
    }
}
