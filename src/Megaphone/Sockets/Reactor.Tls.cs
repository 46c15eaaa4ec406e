using System.Runtime.InteropServices;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Sockets;

/// <content>
/// Connections on which TLS is spoken. A session is used under its slot's gate throughout, for reading too: any thread sends.
/// </content>
/// <remarks>
/// Reading may have to wait for the kernel to take something (a record of ours, or the answer to a key update), and sending for
/// the peer (the rest of a handshake message that it has begun): <see cref="ConnectionFlags.WantsRoom"/>,
/// <see cref="ConnectionFlags.WantsInput"/>.
/// </remarks>
internal sealed unsafe partial class Reactor<TState>
{
    /// <summary>
    /// What is encrypted in one hold of the gate, of what waits: some records of full length. Others who have something for the same client
    /// wait for it.
    /// </summary>
    private const int SecuredFlushBytes = 64 << 10;

    /// <summary>What is decrypted in one hold of the gate: a record of full length, some ten microseconds.</summary>
    private const int SecuredReadBytes = 16 << 10;

    /// <summary>Closes a descriptor that no connection was made of, with its TLS if it has any.</summary>
    public static void CloseUnused(int descriptor, TlsSession session)
    {
        if (session.Handle != 0)
        {
            _ = session.EndWrite();
            session.Free();
        }

        _ = Libc.Close(descriptor);
    }

    /// <summary>Gives a connection its TLS. The gate is held.</summary>
    /// <returns>Whether there is something to be read that epoll does not report: it arrived with the end of the handshake.</returns>
    private bool Secure(ConnectionId id, ref ConnectionSlot slot, TlsSession session)
    {
        _table.SetSession(id.Slot, session);
        slot.Set(ConnectionFlags.Secured);
        if (session.HasUnread) slot.Set(ConnectionFlags.HoldsUnread);
        return slot.Is(ConnectionFlags.HoldsUnread);
    }

    /// <summary>Reads from a connection with TLS, for which the handler has reserved room.</summary>
    private void ReceiveSecured(ConnectionId id, ref ConnectionSlot slot, ref TState state, int room)
    {
        slot.Enter();
        TlsSession session = _table.Session(id.Slot);
        Span<byte> into = new(_receiveBuffer, Math.Min(room, SecuredReadBytes));
        bool recordWaits = _table.Backlog(id.Slot) is not null;
        TlsStatus status = recordWaits ? session.ReadOne(into, out int count) : session.Read(into, out count);
        int errno = status == TlsStatus.Broken ? Marshal.GetLastPInvokeError() : 0;

        // Full: what is left is only known to OpenSSL.
        bool unread = status == TlsStatus.Done && session.HasUnread;
        bool flush = slot.Is(ConnectionFlags.WantsInput);
        slot.Clear(ConnectionFlags.HoldsUnread | ConnectionFlags.WantsInput);
        if (unread) slot.Set(ConnectionFlags.HoldsUnread);
        if (status == TlsStatus.WantWrite) slot.Set(ConnectionFlags.WantsRoom);
        bool endsBoth = status == TlsStatus.Ended && !session.EndsByHalves;
        Watch(id, ref slot);
        slot.Exit();

        _handler.Received(id, slot.Owner, ref state, into[..count]);
        switch (status)
        {
            case TlsStatus.Ended when !endsBoth:
                ReadEnded(id, ref slot);
                break;
            case TlsStatus.Ended:
                CloseFor(id, CloseReason.Ended);
                break;
            case TlsStatus.Truncated:
                CloseFor(id, CloseReason.Truncated);
                break;
            case TlsStatus.Failed:
                CloseFor(id, CloseReason.TlsError);
                break;
            case TlsStatus.Broken:
                CloseForError(id, errno);
                break;
            default:
                // Others get their turn before the rest is read.
                if (unread) Attend(id);
                if (flush) Flush(id, ref slot);
                break;
        }
    }

    /// <summary>The kernel takes more, and OpenSSL has waited for that.</summary>
    private void HasRoom(ConnectionId id)
    {
        if (!_table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        slot.Clear(ConnectionFlags.WantsRoom);

        // To read on is what lets OpenSSL go on.
        slot.Set(ConnectionFlags.HoldsUnread);
        Watch(id, ref slot);
        slot.Exit();
        Look(id);
    }

    /// <summary>Sends what OpenSSL and the kernel take. The gate is held.</summary>
    private int SendSecured(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes, out CloseReason? failure)
    {
        failure = null;
        if (bytes.IsEmpty) return 0;
        TlsStatus status = _table.Session(id.Slot).Write(bytes, out int sent);
        switch (status)
        {
            case TlsStatus.Done or TlsStatus.WantWrite:
                break;
            case TlsStatus.WantRead:
                slot.Set(ConnectionFlags.WantsInput);
                break;
            case TlsStatus.Broken:
                failure = ReasonFor(Marshal.GetLastPInvokeError());
                break;
            default:
                failure = CloseReason.TlsError;
                break;
        }

        return sent;
    }

    /// <summary>Ends our direction of a connection with TLS. The gate is held, and nothing waits to be sent.</summary>
    /// <returns>False when the kernel takes not even that now.</returns>
    private bool TryEndSecured(ConnectionId id, ref ConnectionSlot slot)
    {
        // In the middle of a key update there is no end in order; the peer learns of it from TCP alone.
        if (_table.Session(id.Slot).EndWrite() != TlsStatus.WantWrite) return true;
        slot.Set(ConnectionFlags.WantsRoom);
        Watch(id, ref slot);
        return false;
    }

    /// <summary>Frees the TLS of a connection that is being closed. The gate is held.</summary>
    private void CloseSecured(int index, ref ConnectionSlot slot, bool orderly)
    {
        TlsSession session = _table.Session(index);
        if (orderly && !slot.Is(ConnectionFlags.WriteEnded)) _ = session.EndWrite();
        session.Free();
        _table.SetSession(index, default);
        slot.Clear(ConnectionFlags.Secured);
    }
}
