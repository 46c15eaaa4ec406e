using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What is done with the socket of a client that is pending: wait, receive, send, refuse it, close it.</summary>
/// <remarks>For the thread that handles the client, and so holds its lock.</remarks>
/// <param name="epoll">Watches the sockets, each for one event at a time.</param>
/// <param name="pending">The clients.</param>
/// <param name="resume">Has a listener that has waited for a place accept again.</param>
/// <param name="splitter">Has the memory of their streams before TLS.</param>
/// <param name="clients">The reactors, who know who has arrived.</param>
/// <param name="metrics">Counts how they end.</param>
internal sealed unsafe class PendingSockets(
    Epoll epoll, PendingHandshakes pending, Action<int> resume, StreamSplitter splitter, ReactorGroup<EcmClient> clients, RoleMetrics metrics)
{
    /// <summary>Begins to watch a new client.</summary>
    public void Watch(PendingHandshake client)
    {
        if (epoll.Add(client.Descriptor, Libc.EpollIn | Libc.EpollOneShot, EpollDataOf(client)) != 0) Drop(client, HandshakeEnd.Dropped);
    }

    /// <summary>Waits for one more event.</summary>
    public void Arm(PendingHandshake client, uint events) =>
        epoll.Change(client.Descriptor, events | Libc.EpollOneShot, EpollDataOf(client));

    /// <summary>Receives what has arrived.</summary>
    /// <returns>False when the client has disconnected, and is dropped.</returns>
    public bool TryReceive(PendingHandshake client, Span<byte> buffer, out ReadOnlySpan<byte> received)
    {
        fixed (byte* start = buffer)
        {
            nint count = Libc.Receive(client.Descriptor, start, (nuint)buffer.Length, Libc.MsgDontWait);
            received = buffer[..(int)Math.Max(0, count)];
            if (count > 0 || (count < 0 && Marshal.GetLastPInvokeError() is Errno.TryAgain or Errno.Interrupted)) return true;
        }

        Drop(client, HandshakeEnd.Abandoned);
        return false;
    }

    /// <summary>Sends a few hundred bytes, for which the socket of a well-behaved client always has room.</summary>
    /// <returns>False when there is no room, and the client is dropped.</returns>
    public bool TrySend(PendingHandshake client, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            nint sent = Libc.Send(client.Descriptor, start, (nuint)bytes.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
            if (sent == bytes.Length) return true;
        }

        Drop(client, HandshakeEnd.Abandoned);
        return false;
    }

    /// <summary>
    /// Ends our direction after an error was sent. The socket is closed when the client has ended too, or at the timeout: closing it with
    /// unread input would send a reset, and the client might lose the error.
    /// </summary>
    public void Reject(PendingHandshake client, HandshakeEnd end)
    {
        metrics.AddHandshake(end);
        Release(client);
        client.Rejected = true;
        _ = Libc.Shutdown(client.Descriptor, Libc.ShutWrite);
        Arm(client, Libc.EpollIn);
    }

    /// <summary>Discards what a rejected client still sends.</summary>
    public void Discard(PendingHandshake client, Span<byte> buffer)
    {
        if (TryReceive(client, buffer, out _)) Arm(client, Libc.EpollIn);
    }

    /// <summary>Closes a pending client's socket. Its end is counted, unless it has been counted already.</summary>
    public void Drop(PendingHandshake client, HandshakeEnd end)
    {
        if (!client.Rejected) metrics.AddHandshake(client.Expired ?? end);
        Release(client);
        Remove(client);
        if (client.HasArrived) clients.TurnAway(client.Peer);
        _ = Libc.Close(client.Descriptor);
    }

    /// <summary>Lets go of a client that was refused. Its socket is closed already.</summary>
    public void Forget(PendingHandshake client)
    {
        Release(client);
        Remove(client);
    }

    /// <summary>Lets go of a client that is about to be a reactor's. Its socket stays open.</summary>
    public void Hand(PendingHandshake client)
    {
        epoll.Remove(client.Descriptor);
        client.Session = null;
        Release(client);
        Remove(client);
    }

    /// <summary>By which epoll tells of a client: from 1 on.</summary>
    private static ulong EpollDataOf(PendingHandshake client) => (ulong)client.Slot + 1;

    private void Release(PendingHandshake client)
    {
        if (client.Session is { } session) session.Free();
        client.Session = null;
        splitter.Release(ref client.Stream, StartTlsDialogue.MaxPieceBytes);
    }

    private void Remove(PendingHandshake client)
    {
        metrics.AddHandshaking(-1);
        foreach (int listener in pending.Remove(client)) resume(listener);
    }
}
