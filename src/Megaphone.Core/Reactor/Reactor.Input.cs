using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <content>What epoll reports, and receiving, which only the reactor's thread does.</content>
internal sealed unsafe partial class Reactor<TState>
{
    /// <summary>What a receive stops at, though there is something behind it: an end, and data that the peer calls urgent.</summary>
    private const uint StopsReceive = Libc.EpollReadHangUp | Libc.EpollPriority;

    /// <summary>Handles what epoll reported.</summary>
    private void Serve(ConnectionId id, uint events)
    {
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        if (!slot.Serves(id)) return;

        if (slot.Is(ConnectionFlags.Connecting))
        {
            FinishConnect(id, ref slot);
            return;
        }

        if ((events & Libc.EpollOut) != 0)
        {
            Flush(id, ref slot);
            if (slot.Serves(id) && slot.Is(ConnectionFlags.WantsRoom)) HasRoom(id);
            if (!slot.Serves(id)) return;
        }

        if ((events & (Libc.EpollIn | Libc.EpollHangUp | Libc.EpollError)) == 0) return;

        if (MayRead(ref slot))
        {
            Receive(id, ref slot, more: (events & (StopsReceive | Libc.EpollHangUp | Libc.EpollError)) != 0);
        }
        else if ((events & Libc.EpollError) != 0)
        {
            CloseForError(id, Libc.TakeSocketError(slot.Descriptor));
        }
        else if ((events & Libc.EpollHangUp) != 0 && _table.TryEnter(id))
        {
            // Both directions are over, but what the peer sent first is still to be read when we may.
            if (slot.Is(ConnectionFlags.ReadEnded))
            {
                Close(id, ref slot, CloseReason.Ended);
                return;
            }

            // We may by now: whoever said so has had epoll report it once more.
            if (MayRead(ref slot))
            {
                slot.Exit();
                return;
            }

            _epoll.Remove(slot.Descriptor);
            slot.Set(ConnectionFlags.Unwatched);
            slot.Clear(ConnectionFlags.WatchesIn | ConnectionFlags.WatchesOut);
            slot.Exit();
        }
    }

    /// <summary>Receives once, if the handler has room.</summary>
    /// <param name="id">The connection.</param>
    /// <param name="slot">Its slot.</param>
    /// <param name="more">Whether epoll has said that there is something behind what one receive takes.</param>
    private void Receive(ConnectionId id, ref ConnectionSlot slot, bool more = false)
    {
        ref TState state = ref _table.State(id.Slot);
        int room = _handler.Reserve(slot.Owner, ref state);
        if (room <= 0)
        {
            if (!_table.TryEnter(id)) return;
            slot.Set(room == 0 ? ConnectionFlags.ReadStalled : ConnectionFlags.ReadPaused);
            if (room == 0) Stall(id, ref slot);
            Watch(id, ref slot);
            slot.Exit();
            return;
        }

        if (slot.Is(ConnectionFlags.Secured))
        {
            ReceiveSecured(id, ref slot, ref state, room);
            return;
        }

        int most = Math.Min(room, ReceiveBufferBytes);
        nint count = Libc.Receive(slot.Descriptor, _receiveBuffer, (nuint)most, Libc.MsgDontWait);
        int errno = count < 0 ? Marshal.GetLastPInvokeError() : 0;
        _handler.Received(id, slot.Owner, ref state, new ReadOnlySpan<byte>(_receiveBuffer, (int)Math.Max(0, count)));
        if (count > 0 || errno is Errno.TryAgain or Errno.Interrupted)
        {
            // Otherwise less than asked for is all there was; epoll speaks up by itself when more comes.
            if (count == most || more || errno == Errno.Interrupted) HearAgain(id, ref slot);
            return;
        }

        if (errno != 0) CloseForError(id, errno);
        else ReadEnded(id, ref slot);
    }

    /// <summary>Has epoll report once more what it has reported already.</summary>
    private void HearAgain(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;

        // In any other state it reports, or will be asked to report, what there is and not what is new.
        if (slot.Is(ConnectionFlags.WatchesIn) && !slot.Is(ConnectionFlags.WatchesOut))
            _epoll.Change(slot.Descriptor, InterestIn(ref slot), id.Value);
        slot.Exit();
    }

    private void ReadEnded(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;
        slot.Set(ConnectionFlags.ReadEnded | ConnectionFlags.EndUntold);
        if (!slot.Is(ConnectionFlags.HalfOpenArmed)) ArmHalfOpen(id, ref slot);
        Watch(id, ref slot);
        slot.Exit();
        Look(id);
    }

    /// <summary>Tells the handler that the peer has ended its direction, if it does not know yet.</summary>
    private Told TellReadEnded(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!slot.Is(ConnectionFlags.EndUntold)) return Told.Done;
        Told told = _handler.TellReadEnded(id, slot.Owner, ref _table.State(id.Slot));
        if (!_table.TryEnter(id)) return told;
        if (told == Told.NoRoom) Stall(id, ref slot);
        else slot.Clear(ConnectionFlags.EndUntold);
        slot.Exit();
        return told;
    }

    /// <summary>What epoll is to report of a connection that only waits for input.</summary>
    /// <remarks>
    /// Each arrival once, and with it whatever keeps one receive from taking all there is. Otherwise epoll looks at each connection again
    /// behind the batch, to find that nothing is left. OpenSSL may leave something to the kernel, so with TLS it looks.
    /// </remarks>
    private static uint InterestIn(ref ConnectionSlot slot) =>
        slot.Is(ConnectionFlags.Secured) ? Libc.EpollIn : Libc.EpollIn | StopsReceive | Libc.EpollEdge;

    private static bool MayRead(ref ConnectionSlot slot) =>
        !slot.IsAny(ConnectionFlags.ReadPaused | ConnectionFlags.ReadStalled | ConnectionFlags.ReadEnded | ConnectionFlags.WantsRoom);
}
