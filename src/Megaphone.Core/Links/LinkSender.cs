using System.Net.Sockets;
using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Sends one link's packets: a ring that any thread may write to, and one thread that empties it.</summary>
/// <remarks>
/// <para>One send carries everything that is queued. Writers are told at once when there is no room and leave the data in
/// its source; <c>roomAgain</c> tells them when to come back. Packets become urgent with <see cref="Flush"/>: writers call
/// it once per batch. Thread-safe.</para>
/// <para>To wake a thread costs more than to send what one batch has brought. So whoever flushes sends that, without ever
/// waiting, unless somebody else is sending; the thread is woken for what the kernel does not take at once, and for more.
/// One at a time has the turn to read the ring. Whoever gives it back looks once more for packets whose writers found it
/// taken; turn and packets are published with full fences, so that one of the two always sees the other.</para>
/// <para>Through TLS only the thread sends: a record once begun has to be finished, and that may mean to wait.</para>
/// </remarks>
internal sealed class LinkSender
{
    /// <summary>Room that only control packets may use, so that a full ring can still be paused, resumed and pinged through.</summary>
    private const int ControlReserve = 64 << 10;

    /// <summary>The most that a flush sends itself: all that a receiver's batch, or a reactor's, may have caused.</summary>
    private const int FewBytes = 512 << 10;

    /// <summary>How often a flush looks again before it leaves what others keep writing to the thread.</summary>
    private const int FlushRounds = 2;

    /// <summary>How long the thread waits for the kernel before it looks whether it is to end, in microseconds.</summary>
    private const int PollMicroseconds = 1_000_000;

    private const int TurnFree = 0;
    private const int TurnTaken = 1;

    private readonly Socket _socket;
    private readonly SafeSocketHandle _handle;
    private readonly SecuredSocket? _secured;
    private readonly RoleMetrics _metrics;
    private readonly SendRing _ring;
    private readonly Parker _parker = new();
    private readonly Thread _thread;
    private readonly Action<string> _whenFailed;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _draining;
    private volatile bool _stopped;
    private volatile bool _failed;
    private volatile bool _over;
    private string _failure = "";
    private int _turn;
    private int _sentAhead;
    private long _packets;
    private long _bytes;

    /// <summary>Makes the sender and starts its thread.</summary>
    /// <param name="socket">The link's. The sender never closes it.</param>
    /// <param name="ringBytes">See <see cref="LinkOptions.RingBytes"/>.</param>
    /// <param name="name">The thread's name.</param>
    /// <param name="metrics">Where packets and bytes are counted.</param>
    /// <param name="roomAgain">Called when there is room again after a writer was turned away.</param>
    /// <param name="failed">Called with the reason, on the sender's thread, when the socket fails; the sender has ended then.</param>
    /// <param name="secured">What to send through, where the link speaks TLS.</param>
    public LinkSender(
        Socket socket, int ringBytes, string name, RoleMetrics metrics, Action roomAgain, Action<string> failed, SecuredSocket? secured = null)
    {
        _socket = socket;
        _handle = socket.SafeHandle;
        _secured = secured;
        _metrics = metrics;
        _whenFailed = failed;
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
    public bool TryAcquire(int contentBytes) => TryAcquireBytes(PacketHeader.Size + contentBytes);

    /// <summary>Gives back room that was acquired for one packet and not used, or the part of it that was not.</summary>
    public void Return(int acquiredContentBytes, int? usedContentBytes = null) =>
        _ring.Return(usedContentBytes is { } used ? acquiredContentBytes - used : PacketHeader.Size + acquiredContentBytes);

    /// <summary>Acquires room for several packets, headers included.</summary>
    public bool TryAcquireBytes(int bytes) => _ring.TryAcquire(bytes) || TurnAway();

    /// <summary>Gives back room in bytes.</summary>
    public void ReturnBytes(int bytes) => _ring.Return(bytes);

    /// <summary>Queues a packet in room that was acquired. Its content is copied.</summary>
    public void Write(ulong id, ReadOnlySpan<byte> content)
    {
        _ring.Write(id, content);
        if (_over) _metrics.AddDropped(DropReason.LinkLost);
    }

    /// <summary>Queues a packet if there is room.</summary>
    public bool TryWrite(ulong id, ReadOnlySpan<byte> content)
    {
        if (!TryAcquire(content.Length)) return false;
        Write(id, content);
        return true;
    }

    /// <summary>Queues a small packet that must get through a full ring: it may use the room that is kept for such.</summary>
    public bool TryWriteUrgent(ulong id, ReadOnlySpan<byte> content)
    {
        if (!_ring.TryAcquireReserve(PacketHeader.Size + content.Length)) return TurnAway();
        Write(id, content);
        return true;
    }

    /// <summary>Has everything sent that was queued before this call.</summary>
    public void Flush()
    {
        if (_secured is not null)
        {
            if (_ring.HasPackets) _parker.Wake();
            return;
        }

        for (int round = 0; _ring.HasPackets && TryTakeTurn(); round++)
        {
            bool all = SendFew();
            GiveTurnBack();
            if (all && round < FlushRounds) continue;
            _parker.Wake();
            return;
        }
    }

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

    /// <summary>A full ring is to be emptied, whether those who filled it have flushed yet or not.</summary>
    private bool TurnAway()
    {
        _parker.Wake();
        return false;
    }

    private bool TryTakeTurn() => Interlocked.CompareExchange(ref _turn, TurnTaken, TurnFree) == TurnFree;

    private void GiveTurnBack() => Interlocked.Exchange(ref _turn, TurnFree);

    private void Run()
    {
        while (!_stopped && !_failed && (SendQueued() || Park()))
        {
        }

        // A flush that is under way ends first; none begins on a socket that has failed or is closed.
        while (!TryTakeTurn()) Thread.Yield();
        int lost = _ring.Peek(out _, out _);
        if (lost > 0) _metrics.AddDropped(DropReason.LinkLost, lost);
        _over = true;
        _ended.TrySetResult();
        if (_failed) _whenFailed(_failure);
    }

    /// <summary>Waits until there may be something to send.</summary>
    /// <returns>False when nothing more will come.</returns>
    private bool Park()
    {
        if (_draining)
        {
            if (_ring.IsIdle) return false;

            // Somebody is between acquiring room and having written into it, or flushes: a matter of moments.
            Thread.Yield();
            return true;
        }

        _parker.Announce();
        if (_draining || _stopped || _failed || _ring.HasPackets) _parker.Withdraw();
        else _parker.Sleep();
        return true;
    }

    /// <summary>What a flush does with its turn.</summary>
    /// <returns>False when there is something left for the thread.</returns>
    private bool SendFew()
    {
        int packets = _ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
        return packets == 0 || (first.Length + second.Length <= FewBytes && TrySend(packets, first, second));
    }

    /// <summary>What the thread does: sends everything that is queued now, waiting for the kernel as need be.</summary>
    /// <returns>False when nothing was, or somebody else is sending it.</returns>
    private bool SendQueued()
    {
        if (!TryTakeTurn()) return false;
        int packets = _ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
        if (_secured is null)
        {
            while (packets > 0 && !TrySend(packets, first, second) && !_stopped && !_failed) WaitForKernel();
        }
        else if (packets > 0)
        {
            SendSecured(_secured, packets, first, second);
        }

        GiveTurnBack();
        return packets > 0;
    }

    /// <summary>Sends what the kernel takes at once. The turn is held.</summary>
    /// <returns>True when that was all of it, which is freed then.</returns>
    private bool TrySend(int packets, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        int total = first.Length + second.Length;
        while (_sentAhead < total)
        {
            int sent = _sentAhead < first.Length
                ? DirectSend.Send(_handle, first[_sentAhead..], second, out string? failure)
                : DirectSend.Send(_handle, second[(_sentAhead - first.Length)..], [], out failure);
            if (failure is not null) return Fail(failure);
            if (sent == 0) return false;
            _sentAhead += sent;
        }

        _sentAhead = 0;
        Sent(packets, total);
        return true;
    }

    /// <summary>Sends through TLS, waiting for the kernel as need be. The turn is held.</summary>
    private void SendSecured(SecuredSocket secured, int packets, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        try
        {
            secured.Send(first);
            if (!second.IsEmpty) secured.Send(second);
            Sent(packets, first.Length + second.Length);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            Fail(TlsFault.Describe(error));
        }
    }

    private void Sent(int packets, int bytes)
    {
        _ring.Free(bytes);
        Volatile.Write(ref _packets, _packets + packets);
        Volatile.Write(ref _bytes, _bytes + bytes);
        _metrics.AddOut(packets, bytes);
    }

    private bool Fail(string failure)
    {
        _failure = failure;
        _failed = true;
        return false;
    }

    private void WaitForKernel()
    {
        try
        {
            _socket.Poll(PollMicroseconds, SelectMode.SelectWrite);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Fail(e.Message);
        }
    }
}
