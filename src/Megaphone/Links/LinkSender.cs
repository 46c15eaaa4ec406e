using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Sends one link's packets: a ring that any thread may write to, and one thread that empties it.</summary>
/// <remarks>
/// One send carries everything that is queued. Writers are told at once when there is no room and leave the data in its
/// source; <c>roomAgain</c> tells them when to come back. Packets become urgent with <see cref="Flush"/>: writers call it
/// once per batch, so that a busy link costs no wake-ups. Thread-safe.
/// </remarks>
internal sealed class LinkSender
{
    /// <summary>Room that only control packets may use, so that a full ring can still be paused, resumed and pinged through.</summary>
    private const int ControlReserve = 64 << 10;

    private readonly Socket _socket;
    private readonly RoleMetrics _metrics;
    private readonly SendRing _ring;
    private readonly Parker _parker = new();
    private readonly Thread _thread;
    private readonly Action _failed;
    private readonly ArraySegment<byte>[] _wrapped = new ArraySegment<byte>[2];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _draining;
    private volatile bool _stopped;
    private long _packets;
    private long _bytes;

    /// <summary>Makes the sender and starts its thread.</summary>
    /// <param name="socket">The link's; the sender never closes it.</param>
    /// <param name="ringBytes">See <see cref="LinkOptions.RingBytes"/>.</param>
    /// <param name="name">The thread's name.</param>
    /// <param name="metrics">Where packets and bytes are counted.</param>
    /// <param name="roomAgain">Called when there is room again after a writer was turned away.</param>
    /// <param name="failed">Called on the sender's thread when the socket fails; the sender has ended then.</param>
    public LinkSender(Socket socket, int ringBytes, string name, RoleMetrics metrics, Action roomAgain, Action failed)
    {
        _socket = socket;
        _metrics = metrics;
        _failed = failed;
        _ring = new SendRing(ringBytes, Math.Min(ControlReserve, ringBytes / 4), roomAgain);
        _thread = new Thread(Run, 128 << 10) { Name = name, IsBackground = true };
        _thread.Start();
    }

    /// <summary>Completes when the thread has ended: drained, or failed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Packets handed to the kernel.</summary>
    public long Packets => Volatile.Read(ref _packets);

    /// <summary>Bytes handed to the kernel.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>Acquires room for one packet with up to this much content.</summary>
    /// <returns>False when there is none now.</returns>
    public bool TryAcquire(int contentBytes) => _ring.TryAcquire(PacketHeader.Size + contentBytes);

    /// <summary>Gives back room that was acquired for one packet and not used, or the part of it that was not.</summary>
    public void Return(int acquiredContentBytes, int? usedContentBytes = null) =>
        _ring.Return(usedContentBytes is { } used ? acquiredContentBytes - used : PacketHeader.Size + acquiredContentBytes);

    /// <summary>Queues a packet in room that was acquired. Its content is copied.</summary>
    public void Write(ulong id, ReadOnlySpan<byte> content) => _ring.Write(id, content);

    /// <summary>Queues a packet if there is room.</summary>
    public bool TryWrite(ulong id, ReadOnlySpan<byte> content)
    {
        if (!TryAcquire(content.Length)) return false;
        _ring.Write(id, content);
        return true;
    }

    /// <summary>Queues a small packet that must get through a full ring: it may use the room that is kept for such.</summary>
    public bool TryWriteUrgent(ulong id, ReadOnlySpan<byte> content)
    {
        if (!_ring.TryAcquireReserve(PacketHeader.Size + content.Length)) return false;
        _ring.Write(id, content);
        return true;
    }

    /// <summary>Has everything sent that was queued before this call.</summary>
    public void Flush() => _parker.Wake();

    /// <summary>Ends the thread once everything that was queued, or had room acquired for it, has been sent.</summary>
    public void Drain()
    {
        _draining = true;
        _parker.Wake();
    }

    /// <summary>Ends the thread now; what is still queued is counted as lost. The socket must be closed.</summary>
    public void Stop()
    {
        _stopped = true;
        _parker.Wake();
    }

    private void Run()
    {
        bool failed = false;
        try
        {
            while (!_stopped && (SendQueued() || Park()))
            {
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            failed = true;
        }

        int lost = _ring.Peek(out _, out _);
        if (lost > 0) _metrics.AddDropped(DropReason.LinkLost, lost);
        _ended.TrySetResult();
        if (failed) _failed();
    }

    /// <summary>Sends everything that is queued now.</summary>
    /// <returns>False when nothing was.</returns>
    private bool SendQueued()
    {
        int packets = _ring.Peek(out ArraySegment<byte> first, out ArraySegment<byte> second);
        if (packets == 0) return false;

        int total = first.Count + second.Count;
        int sent = second.Count == 0 ? _socket.Send(first) : SendWrapped(first, second);
        while (sent < total)
        {
            ReadOnlySpan<byte> rest = sent < first.Count ? first.AsSpan(sent) : second.AsSpan(sent - first.Count);
            sent += _socket.Send(rest);
        }

        _ring.Free(total);
        Volatile.Write(ref _packets, _packets + packets);
        Volatile.Write(ref _bytes, _bytes + total);
        _metrics.AddOut(packets, total);
        return true;
    }

    private int SendWrapped(ArraySegment<byte> first, ArraySegment<byte> second)
    {
        _wrapped[0] = first;
        _wrapped[1] = second;
        return _socket.Send(_wrapped);
    }

    /// <summary>Waits until there may be something to send.</summary>
    /// <returns>False when nothing more will come.</returns>
    private bool Park()
    {
        if (_draining)
        {
            if (_ring.IsIdle) return false;

            // Somebody is between acquiring room and having written into it: a matter of a copy.
            Thread.Yield();
            return true;
        }

        _parker.Announce();
        if (_draining || _stopped || _ring.Peek(out _, out _) > 0) _parker.Withdraw();
        else _parker.Sleep();
        return true;
    }
}
