using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <content>Sending, what waits to be sent, and connecting. Everything here is called with the slot's gate held.</content>
internal sealed unsafe partial class Reactor<TState>
{
    /// <summary>Sends what the kernel takes and keeps the rest.</summary>
    /// <returns>False when the reactor has to look at the connection.</returns>
    private bool SendOrKeep(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes)
    {
        slot.Set(ConnectionFlags.Sent);
        if (!slot.IsAny(ConnectionFlags.OutputQueued | ConnectionFlags.Connecting))
        {
            int sent = SendNow(id, ref slot, bytes, out CloseReason? failure);
            if (failure is { } reason) return Fail(ref slot, reason);
            if (sent == bytes.Length) return true;
            bytes = bytes[sent..];
        }

        if (bytes.IsEmpty) return true;
        ref OutputBacklog backlog = ref _table.Backlog(id.Slot);
        int waiting = backlog.Count + bytes.Length;
        if (waiting > _options.Buffers.LimitBytes) return Fail(ref slot, CloseReason.BufferLimit);
        int memory = backlog.CapacityFor(bytes.Length) - backlog.Capacity;
        if (_metrics.AddBufferMemory(memory) > _options.Buffers.TotalBytes)
        {
            _metrics.AddBufferMemory(-memory);
            return Fail(ref slot, CloseReason.BufferTotal);
        }

        _metrics.AddBuffered(bytes.Length);
        backlog.Append(bytes);
        slot.Set(ConnectionFlags.OutputQueued);
        Watch(id, ref slot);
        if (waiting >= _options.Buffers.HighBytes) slot.Set(ConnectionFlags.AboveHigh);
        return true;
    }

    private static bool Fail(ref ConnectionSlot slot, CloseReason reason)
    {
        slot.Set(ConnectionFlags.Aborting);
        slot.Reason = reason;
        return false;
    }

    /// <summary>Sends what the kernel takes.</summary>
    /// <returns>How much that was; <paramref name="failure"/> says what is wrong with the connection.</returns>
    private int SendNow(ConnectionId id, ref ConnectionSlot slot, ReadOnlySpan<byte> bytes, out CloseReason? failure)
    {
        failure = null;
        if (slot.Is(ConnectionFlags.Secured)) return SendSecured(id, ref slot, bytes, out failure);
        fixed (byte* start = bytes)
        {
            while (true)
            {
                nint sent = Libc.Send(slot.Descriptor, start, (nuint)bytes.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
                if (sent >= 0) return (int)sent;
                int error = Marshal.GetLastPInvokeError();
                if (error == Errno.Interrupted) continue;
                if (error != Errno.TryAgain) failure = ReasonFor(error);
                return 0;
            }
        }
    }

    /// <summary>Sends what waits, and closes the connection if that fails. Takes the gate itself.</summary>
    private void Flush(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;
        bool look = false;
        if (slot.Is(ConnectionFlags.OutputQueued))
        {
            ref OutputBacklog backlog = ref _table.Backlog(id.Slot);
            ReadOnlySpan<byte> waiting = backlog.Waiting;
            if (slot.Is(ConnectionFlags.Secured)) waiting = waiting[..Math.Min(waiting.Length, SecuredFlushBytes)];
            int sent = SendNow(id, ref slot, waiting, out CloseReason? failure);
            if (failure is { } reason)
            {
                Close(id, ref slot, reason);
                return;
            }

            backlog.Advance(sent);
            _metrics.AddBuffered(-sent);
            if (slot.Is(ConnectionFlags.AboveHigh) && backlog.Count <= _options.Buffers.LowBytes)
            {
                slot.Clear(ConnectionFlags.AboveHigh);
                look = true;
            }

            if (backlog.Count == 0)
            {
                DropBacklog(id, ref slot);
                look |= slot.IsAny(ConnectionFlags.WriteEnding | ConnectionFlags.CloseWhenFlushed);
            }
        }

        Watch(id, ref slot);
        slot.Exit();
        if (look) Look(id);
    }

    private void DropBacklog(ConnectionId id, ref ConnectionSlot slot)
    {
        ref OutputBacklog backlog = ref _table.Backlog(id.Slot);
        _metrics.AddBuffered(-backlog.Count);
        _metrics.AddBufferMemory(-backlog.Capacity);
        backlog.Release();
        slot.Clear(ConnectionFlags.OutputQueued);
    }

    /// <summary>Makes epoll watch for exactly what the connection can use now.</summary>
    private void Watch(ConnectionId id, ref ConnectionSlot slot)
    {
        if (slot.Descriptor < 0 || slot.Is(ConnectionFlags.Connecting)) return;
        bool input = MayRead(ref slot);
        bool output = slot.Is(ConnectionFlags.WantsRoom)
            || (slot.Is(ConnectionFlags.OutputQueued) && !slot.Is(ConnectionFlags.WantsInput));
        ConnectionFlags wanted = (input ? ConnectionFlags.WatchesIn : 0) | (output ? ConnectionFlags.WatchesOut : 0);
        if (wanted == (slot.Flags & (ConnectionFlags.WatchesIn | ConnectionFlags.WatchesOut))) return;

        uint events = output ? Libc.EpollOut | (input ? Libc.EpollIn : 0) : input ? InterestIn(ref slot) : 0;
        if (!slot.Is(ConnectionFlags.Unwatched))
        {
            _epoll.Change(slot.Descriptor, events, id.Value);
        }
        else
        {
            _ = _epoll.Add(slot.Descriptor, events, id.Value);
            slot.Clear(ConnectionFlags.Unwatched);
        }

        slot.Clear(ConnectionFlags.WatchesIn | ConnectionFlags.WatchesOut);
        slot.Set(wanted);
    }

    /// <summary>Begins to connect to one address.</summary>
    /// <returns>Null when that is under way, else why it cannot be.</returns>
    private CloseReason? BeginConnect(ConnectionId id, ref ConnectionSlot slot, in NativeAddress to)
    {
        int descriptor = NativeSocket.Connect(to, _options.Liveness, out int errno);
        if (descriptor < 0) return ReasonForConnect(errno);
        if (_epoll.Add(descriptor, Libc.EpollOut, id.Value) != 0)
        {
            _ = Libc.Close(descriptor);
            return CloseReason.OutOfResources;
        }

        slot.Descriptor = descriptor;
        slot.Set(ConnectionFlags.WatchesOut);
        return null;
    }

    /// <summary>epoll said something about a connection that is being made. Takes the gate itself.</summary>
    private void FinishConnect(ConnectionId id, ref ConnectionSlot slot)
    {
        if (!_table.TryEnter(id)) return;
        int errno = Libc.TakeSocketError(slot.Descriptor);
        if (errno == 0)
        {
            slot.Clear(ConnectionFlags.Connecting);
            slot.Exit();
            _outgoing!.OnConnected(id, ref _table.State(id.Slot));
            Flush(id, ref slot);
            Look(id);
            return;
        }

        FailConnect(ref slot, ReasonForConnect(errno));
        slot.Exit();
        Look(id);
    }

    /// <summary>Whether the deadline of this attempt still matters.</summary>
    private bool IsConnecting(ConnectionId id, byte attempt)
    {
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        return _table.IsThere(id) && slot.Is(ConnectionFlags.Connecting) && slot.Attempt == attempt;
    }

    private void ConnectTimedOut(ConnectionId id, byte attempt)
    {
        if (!_table.TryEnter(id)) return;
        ref ConnectionSlot slot = ref _table.Slot(id.Slot);
        bool late = IsConnecting(id, attempt);
        if (late) FailConnect(ref slot, CloseReason.BackendTimeout);
        slot.Exit();
        if (late) Look(id);
    }

    private static void FailConnect(ref ConnectionSlot slot, CloseReason reason)
    {
        slot.Set(ConnectionFlags.ConnectFailed);
        if (!slot.Is(ConnectionFlags.Aborting)) slot.Reason = reason;
    }

    /// <summary>After connecting to one address failed: begins with the next that the handler knows.</summary>
    /// <returns>False when the connection is to be closed.</returns>
    private bool TryOtherAddress(ConnectionId id, ref ConnectionSlot slot)
    {
        slot.Clear(ConnectionFlags.ConnectFailed);
        if (slot.Descriptor >= 0) _ = Libc.Close(slot.Descriptor);
        slot.Descriptor = -1;
        while (_outgoing!.TryNextAddress(ref _table.State(id.Slot), out NativeAddress next))
        {
            if (BeginConnect(id, ref slot, next) is not null) continue;
            _connecting.Arm(id, Environment.TickCount64, ++slot.Attempt);
            return true;
        }

        return false;
    }

    private static CloseReason ReasonFor(int errno) =>
        errno == Errno.TimedOut ? CloseReason.Vanished : CloseReason.SocketError;

    private static CloseReason ReasonForConnect(int errno) => errno switch
    {
        Errno.TimedOut => CloseReason.BackendTimeout,
        Errno.TooManyFiles or Errno.TooManyFilesInSystem or Errno.OutOfMemory or Errno.NoBufferSpace => CloseReason.OutOfResources,
        _ => CloseReason.BackendRefused,
    };
}
