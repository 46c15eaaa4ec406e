using System.Diagnostics;
using System.Runtime.InteropServices;
using Megaphone.Bench;
using Megaphone.Interop;

namespace Megaphone.Load;

/// <summary>
/// Connections that send messages to an echo, played by one thread. Either each sends its next message when the last one
/// is back, or messages leave at fixed times, one connection after the other, whether or not earlier ones are back.
/// </summary>
/// <remarks>
/// At a fixed rate a latency counts from the time at which the message should have left: a stall, here or there, shows in
/// every message that it held up, not just in the one that met it.
/// </remarks>
internal sealed unsafe class PingPong
{
    private const int EventsAtATime = 512;
    private const int BufferBytes = 64 << 10;

    private readonly Poller _poller = new();
    private readonly EpollEvent[] _events = new EpollEvent[EventsAtATime];
    private readonly byte[] _message;
    private readonly byte[] _buffer = new byte[BufferBytes];
    private readonly int[] _descriptors;
    private readonly int[] _unread;
    private readonly long[] _answers;
    private readonly long[] _sentAt;
    private readonly double _interval;
    private long _begin;
    private long _sent;
    private long _answered;

    /// <param name="descriptors">Connected sockets.</param>
    /// <param name="bytes">Bytes of a message.</param>
    /// <param name="rate">Messages per second, all connections together; 0: as fast as the answers come.</param>
    public PingPong(int[] descriptors, int bytes, double rate)
    {
        _descriptors = descriptors;
        _message = new byte[bytes];
        _message.AsSpan().Fill((byte)'x');
        _unread = new int[descriptors.Length];
        _answers = new long[descriptors.Length];
        _sentAt = new long[descriptors.Length];
        _interval = rate > 0 ? Stopwatch.Frequency / rate : 0;
        for (int i = 0; i < descriptors.Length; i++) _poller.Add(descriptors[i], (uint)i);
    }

    /// <summary>Where latencies are counted.</summary>
    public LatencyHistogram Latencies { get; set; } = new();

    /// <summary>Connections that were closed on us, or that did not take a message at once.</summary>
    public long Errors { get; private set; }

    /// <summary>Starts the clock; without a rate every connection sends its first message.</summary>
    public void Begin()
    {
        Poller.BePunctual();
        _begin = Stopwatch.GetTimestamp();
        if (_interval > 0) return;
        for (int i = 0; i < _descriptors.Length; i++) Send(i);
    }

    /// <summary>Plays for some time.</summary>
    /// <returns>How long it was, in seconds.</returns>
    public double Play(TimeSpan time)
    {
        long start = Stopwatch.GetTimestamp();
        long end = start + (long)(time.TotalSeconds * Stopwatch.Frequency);
        long now = start;
        while (now < end)
        {
            long wake = end;
            if (_interval > 0)
            {
                while (Due(_sent) <= now) Send((int)(_sent % _descriptors.Length));
                wake = Math.Min(end, Due(_sent));
            }

            Receive(Math.Max(0, wake - Stopwatch.GetTimestamp()), playOn: _interval == 0);
            now = Stopwatch.GetTimestamp();
        }

        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Sends nothing more, and waits for what is still to come.</summary>
    /// <returns>The number of messages that did not come back.</returns>
    public long Finish(TimeSpan patience)
    {
        long end = Stopwatch.GetTimestamp() + (long)(patience.TotalSeconds * Stopwatch.Frequency);
        for (long left = end; left > 0 && _answered < _sent; left = end - Stopwatch.GetTimestamp())
            Receive(end - Stopwatch.GetTimestamp(), playOn: false);
        return _sent - _answered;
    }

    private long Due(long message) => _begin + (long)(message * _interval);

    private void Receive(long ticks, bool playOn)
    {
        int count = _poller.Wait(_events, ticks * 1_000_000_000 / Stopwatch.Frequency);
        for (int i = 0; i < count; i++)
        {
            int connection = (int)_events[i].Data;
            nint got;
            fixed (byte* buffer = _buffer)
                got = Libc.Receive(_descriptors[connection], buffer, BufferBytes, Libc.MsgDontWait);
            if (got > 0)
                Take(connection, (int)got, playOn);
            else if (got == 0 || Marshal.GetLastPInvokeError() != Errno.TryAgain)
                Drop(connection);
        }
    }

    private void Take(int connection, int bytes, bool playOn)
    {
        _unread[connection] += bytes;
        while (_unread[connection] >= _message.Length)
        {
            _unread[connection] -= _message.Length;
            _answered++;

            // At a fixed rate the n-th answer on a connection belongs to the n-th message, whose time is known.
            long began = _interval > 0 ? Due(connection + _answers[connection]++ * _descriptors.Length) : _sentAt[connection];
            Latencies.Add(Stopwatch.GetTimestamp() - began);
            if (playOn) Send(connection);
        }
    }

    private void Send(int connection)
    {
        _sent++;
        _sentAt[connection] = Stopwatch.GetTimestamp();
        nint taken;
        fixed (byte* message = _message)
            taken = Libc.Send(_descriptors[connection], message, (nuint)_message.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
        if (taken != _message.Length) Drop(connection);
    }

    private void Drop(int connection)
    {
        Errors++;
        if (_descriptors[connection] >= 0) _ = Libc.Close(_descriptors[connection]);
        _descriptors[connection] = -1;
    }
}
