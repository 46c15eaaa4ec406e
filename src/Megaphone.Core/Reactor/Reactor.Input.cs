using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Tls;

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

    /// <summary>Has the handler receive, and does what follows from what it met.</summary>
    /// <param name="id">The connection.</param>
    /// <param name="slot">Its slot.</param>
    /// <param name="more">Whether epoll has said that there is something behind what one receive takes.</param>
    private void Receive(ConnectionId id, ref ConnectionSlot slot, bool more = false)
    {
        _reading = new Reading { Id = id };
        Outcome outcome = _handler.OnReadable(id, slot.Owner, ref _table.State(id.Slot), this);
        if (outcome != Outcome.Done)
        {
            if (!_table.TryEnter(id)) return;
            slot.Set(outcome == Outcome.WouldBlock ? ConnectionFlags.ReadStalled : ConnectionFlags.ReadPaused);
            if (outcome == Outcome.WouldBlock) Stall(id, ref slot);
            Watch(id, ref slot);
            slot.Exit();
            return;
        }

        if (slot.Is(ConnectionFlags.Secured))
        {
            FinishSecured(id, ref slot);
            return;
        }

        (nint count, int errno) = (_reading.Count, _reading.Errno);
        if (count > 0 || errno is Errno.TryAgain or Errno.Interrupted)
        {
            // Otherwise less than asked for is all there was; epoll speaks up by itself when more comes.
            if (count == _reading.Asked || more || errno == Errno.Interrupted) HearAgain(id, ref slot);
            return;
        }

        if (errno != 0) CloseForError(id, errno);
        else ReadEnded(id, ref slot);
    }

    /// <inheritdoc/>
    ReadOnlySpan<byte> IConnectionInput.Receive(int mostBytes)
    {
        int most = Math.Min(mostBytes, ReceiveBufferBytes);
        ref ConnectionSlot slot = ref _table.Slot(_reading.Id.Slot);
        if (slot.Is(ConnectionFlags.Secured)) return ReceiveSecured(_reading.Id, ref slot, most);

        nint count = Libc.Receive(slot.Descriptor, _receiveBuffer, (nuint)most, Libc.MsgDontWait);
        _reading.Asked = most;
        _reading.Count = count;
        if (count < 0) _reading.Errno = Marshal.GetLastPInvokeError();
        return new ReadOnlySpan<byte>(_receiveBuffer, (int)Math.Max(0, count));
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
    private Outcome TellReadEnded(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!slot.Is(ConnectionFlags.EndUntold)) return Outcome.Done;
        Outcome told = _handler.OnPeerHalfClosed(id, slot.Owner, ref _table.State(id.Slot));
        if (!_table.TryEnter(id)) return told;
        if (told == Outcome.WouldBlock) Stall(id, ref slot);
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

    /// <summary>One receive: what was asked for, and what the reactor has to go into once the handler has returned.</summary>
    private struct Reading
    {
        public ConnectionId Id;
        public int Asked;
        public nint Count;
        public int Errno;
        public TlsStatus Status;
        public bool EndsBoth;
        public bool Unread;
        public bool Flush;
    }
}
