using System.Net.Sockets;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Sends a link's ring over one connection: inline, on the thread that flushes, and on a thread of its own.</summary>
/// <remarks>
/// <para>One send carries everything that is queued. Packets become due with <see cref="Flush"/>: writers call it once per batch. Thread-safe.</para>
/// <para>Waking a thread costs more than sending one batch. So the thread that flushes sends the batch itself, without
/// blocking, unless another thread is sending; the sender's thread is woken for what the kernel does not accept at once, and for more.
/// The sending thread holds the ring's reader lock, and after releasing it checks once more for packets whose writers found it
/// locked; lock and packets are published with full fences, so that one of the two always sees the other.</para>
/// <para>Over TLS only the sender's thread sends: a record once begun must be finished, which may block.</para>
/// <code>
/// The thread    becomes     when
/// sending       asleep      nothing is queued, or another thread sends it (it checks once more after announcing that it sleeps)
/// asleep        sending     Flush leaves packets to it, a claim was refused, or Drain
/// sending       ended       Stop, the socket failed, or Drain and the ring is idle
/// </code>
/// </remarks>
internal sealed class LinkSender
{
    /// <summary>The most bytes that a flush sends itself: all that a receiver's or reactor's batch may have caused.</summary>
    private const int InlineSendLimit = 512 << 10;

    /// <summary>How often a flush checks again before it leaves to the thread what others keep writing.</summary>
    private const int FlushRounds = 2;

    /// <summary>How long the thread waits for the socket before it checks whether it must end, in microseconds.</summary>
    private const int PollMicroseconds = 1_000_000;

    private readonly SendRing _ring;
    private readonly Socket _socket;
    private readonly SafeSocketHandle _handle;
    private readonly SecuredSocket? _secured;
    private readonly LinkCounters _counters;
    private readonly RoleMetrics _metrics;
    private readonly Parker _parker = new();
    private readonly Thread _thread;
    private readonly Action<string?> _onEnded;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _draining;
    private volatile bool _stopped;
    private volatile bool _failed;
    private string? _failure;

    /// <summary>
    /// Bytes of the next packets in the ring that the kernel has accepted already; forgotten with the connection. For the holder of the
    /// reader's lock.
    /// </summary>
    private int _partiallySent;

    /// <summary>Makes the sender and starts its thread.</summary>
    /// <param name="ring">The packets to send. It outlives the sender.</param>
    /// <param name="socket">The connection's, which is not closed here.</param>
    /// <param name="secured">The TLS stream, if the link uses TLS.</param>
    /// <param name="name">The thread's name.</param>
    /// <param name="counters">The link's counters.</param>
    /// <param name="metrics">The role's counters.</param>
    /// <param name="onEnded">Called by the thread when it ends, with the socket's error; null: it was drained or stopped.</param>
    public LinkSender(
        SendRing ring, Socket socket, SecuredSocket? secured, string name, LinkCounters counters, RoleMetrics metrics, Action<string?> onEnded)
    {
        _ring = ring;
        _socket = socket;
        _handle = socket.SafeHandle;
        _secured = secured;
        _counters = counters;
        _metrics = metrics;
        _onEnded = onEnded;
        _thread = new Thread(Run, 128 << 10) { Name = name, IsBackground = true };
        _thread.Start();
    }

    /// <summary>Completes when the thread has ended: drained, stopped, or failed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Sends everything that was queued before this call, or wakes the thread to do so.</summary>
    public void Flush()
    {
        if (_secured is not null)
        {
            if (_ring.HasPackets) _parker.Wake();
            return;
        }

        for (int round = 0; _ring.HasPackets && _ring.TryLockReader(); round++)
        {
            bool all = TrySendInline();
            _ring.UnlockReader();
            if (all && round < FlushRounds) continue;
            _parker.Wake();
            return;
        }
    }

    /// <summary>Wakes the thread to empty the ring, whether its writers have flushed yet or not.</summary>
    public void Wake() => _parker.Wake();

    /// <summary>Ends the thread once everything that was queued, or for which room was claimed, has been sent; acknowledged or not.</summary>
    public void Drain()
    {
        _draining = true;
        _parker.Wake();
    }

    /// <summary>Ends the thread now: once it has, and the reader's lock was free, nothing more is taken out of the ring. The socket must be
    /// closed.</summary>
    public void Stop()
    {
        _stopped = true;
        _parker.Wake();
    }

    private void Run()
    {
        while (!_stopped && !_failed && (SendQueued() || Park()))
        {
        }

        _onEnded(_failure);
        _ended.TrySetResult();
    }

    /// <summary>Waits until there may be something to send.</summary>
    /// <returns>False when nothing more will come.</returns>
    private bool Park()
    {
        if (_draining)
        {
            if (_ring.IsIdle) return false;

            // A writer has claimed room and not written yet, or another thread is flushing: both take microseconds.
            Thread.Yield();
            return true;
        }

        _parker.Announce();
        if (_draining || _stopped || _failed || _ring.HasPackets) _parker.Withdraw();
        else _parker.Sleep();
        return true;
    }

    /// <summary>Sends what is queued, if it is not too much for a flush. The reader's lock is held.</summary>
    /// <returns>False when packets are left for the thread.</returns>
    private bool TrySendInline()
    {
        // The ring outlives the connection: what comes after it is another sender's.
        if (_stopped || _failed) return false;
        int packets = _ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
        return packets == 0 || (first.Length + second.Length <= InlineSendLimit && TrySend(packets, first, second));
    }

    /// <summary>Sends everything that is queued now, blocking while the kernel accepts no more. For the thread.</summary>
    /// <returns>False when nothing was queued, or another thread is sending it.</returns>
    private bool SendQueued()
    {
        if (!_ring.TryLockReader()) return false;
        if (_stopped || _failed)
        {
            _ring.UnlockReader();
            return false;
        }

        int packets = _ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
        if (_secured is null)
        {
            while (packets > 0 && !TrySend(packets, first, second) && !_stopped && !_failed) WaitUntilWritable();
        }
        else if (packets > 0)
        {
            SendSecured(_secured, packets, first, second);
        }

        _ring.UnlockReader();
        return packets > 0;
    }

    /// <summary>Sends what the kernel accepts at once. The reader's lock is held.</summary>
    /// <returns>True when that was all of it; its room is freed.</returns>
    private bool TrySend(int packets, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        int total = first.Length + second.Length;
        while (_partiallySent < total)
        {
            int sent = _partiallySent < first.Length
                ? DirectSend.Send(_handle, first[_partiallySent..], second, out string? failure)
                : DirectSend.Send(_handle, second[(_partiallySent - first.Length)..], [], out failure);
            if (failure is not null) return Fail(failure);
            if (sent == 0) return false;
            _partiallySent += sent;
        }

        _partiallySent = 0;
        OnSent(packets, total);
        return true;
    }

    /// <summary>Sends over TLS, blocking while the kernel accepts no more. The reader's lock is held.</summary>
    private void SendSecured(SecuredSocket secured, int packets, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        try
        {
            secured.Send(first);
            if (!second.IsEmpty) secured.Send(second);
            OnSent(packets, first.Length + second.Length);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            Fail(TlsFault.Describe(error));
        }
    }

    private void OnSent(int packets, int bytes)
    {
        _ring.MarkSent(bytes);
        _counters.AddOut(packets, bytes);
        _metrics.AddOut(packets, bytes);
    }

    private bool Fail(string failure)
    {
        _failure = failure;
        _failed = true;
        return false;
    }

    private void WaitUntilWritable()
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
