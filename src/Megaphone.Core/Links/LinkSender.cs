using System.Net.Sockets;
using Megaphone.Metrics;

namespace Megaphone.Links;

/// <summary>Sends what is queued in a link's ring over one connection: in line, on the thread of whoever flushes, and with a thread of its own.</summary>
/// <remarks>
/// <para>One send carries everything that is queued. Packets become due with <see cref="Flush"/>: writers call it once per batch. Thread-safe.</para>
/// <para>To wake a thread costs more than to send what one batch has brought. So whoever flushes sends that, without ever
/// waiting, unless somebody else is sending; the thread is woken for what the kernel does not take at once, and for more.
/// Who sends holds the ring's reader lock. Whoever gives it back looks once more for packets whose writers found it
/// locked; lock and packets are published with full fences, so that one of the two always sees the other.</para>
/// <para>Through TLS only the thread sends: a record once begun has to be finished, and that may mean to wait.</para>
/// <code>
/// The thread    becomes     when
/// sending       asleep      nothing is queued, or somebody else sends it (it looks once more after it has announced to sleep)
/// asleep        sending     Flush leaves something to it, a claim was refused, or Drain
/// sending       ended       Stop, the socket failed, or Drain and the ring is idle
/// </code>
/// </remarks>
internal sealed class LinkSender
{
    /// <summary>The most that a flush sends itself: all that a receiver's batch, or a reactor's, may have caused.</summary>
    private const int InlineSendLimit = 512 << 10;

    /// <summary>How often a flush looks again before it leaves what others keep writing to the thread.</summary>
    private const int FlushRounds = 2;

    /// <summary>How long the thread waits for the kernel before it looks whether it is to end, in microseconds.</summary>
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

    /// <summary>Bytes of what is next in the ring that the kernel has taken already. For the holder of the reader's lock.</summary>
    private int _sentAhead;

    /// <summary>Makes the sender and starts its thread.</summary>
    /// <param name="ring">What is sent. Outlives the sender.</param>
    /// <param name="socket">The connection's, which never is closed here.</param>
    /// <param name="secured">What to send through, where the link speaks TLS.</param>
    /// <param name="name">The thread's name.</param>
    /// <param name="counters">Where the link's packets and bytes are counted.</param>
    /// <param name="metrics">Where the role's are.</param>
    /// <param name="onEnded">Called by the thread when it has ended, with what is wrong with the socket; null: it was drained or stopped.</param>
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

    /// <summary>Has everything sent that was queued before this call.</summary>
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

    /// <summary>Has the thread empty the ring, whether those who filled it have flushed yet or not.</summary>
    public void Wake() => _parker.Wake();

    /// <summary>Ends the thread once everything that was queued, or for which room is claimed, has been sent.</summary>
    public void Drain()
    {
        _draining = true;
        _parker.Wake();
    }

    /// <summary>Ends the thread now. The socket must be closed.</summary>
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

            // Somebody is between claiming room and having written into it, or flushes: a matter of moments.
            Thread.Yield();
            return true;
        }

        _parker.Announce();
        if (_draining || _stopped || _failed || _ring.HasPackets) _parker.Withdraw();
        else _parker.Sleep();
        return true;
    }

    /// <summary>What a flush sends. The reader's lock is held.</summary>
    /// <returns>False when there is something left for the thread.</returns>
    private bool TrySendInline()
    {
        int packets = _ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
        return packets == 0 || (first.Length + second.Length <= InlineSendLimit && TrySend(packets, first, second));
    }

    /// <summary>What the thread sends: everything that is queued now, waiting for the kernel as need be.</summary>
    /// <returns>False when nothing was, or somebody else is sending it.</returns>
    private bool SendQueued()
    {
        if (!_ring.TryLockReader()) return false;
        int packets = _ring.Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second);
        if (_secured is null)
        {
            while (packets > 0 && !TrySend(packets, first, second) && !_stopped && !_failed) WaitForKernel();
        }
        else if (packets > 0)
        {
            SendSecured(_secured, packets, first, second);
        }

        _ring.UnlockReader();
        return packets > 0;
    }

    /// <summary>Sends what the kernel takes at once. The reader's lock is held.</summary>
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
        OnSent(packets, total);
        return true;
    }

    /// <summary>Sends through TLS, waiting for the kernel as need be. The reader's lock is held.</summary>
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
        _ring.Free(bytes);
        _counters.AddOut(packets, bytes);
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
