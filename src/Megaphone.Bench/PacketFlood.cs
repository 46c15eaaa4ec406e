using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Protocol;

namespace Megaphone.Bench;

/// <summary>
/// Plays an ECM of sections 1 to 3 of the link protocol: sends packets of one length on many sessions in turn, as fast as
/// they are taken, and checks the header of each packet that comes back. One thread sends, one receives.
/// </summary>
internal sealed unsafe class PacketFlood : IDisposable
{
    /// <summary>About what is given to the kernel at a time; more of it does not fit into the processor's cache.</summary>
    private const int BatchBytes = 256 << 10;

    private readonly int _descriptor;
    private readonly byte[] _batch;
    private readonly int _packetBytes;
    private readonly Thread _sender;
    private readonly Thread _receiver;
    private long _sent;
    private long _received;
    private volatile bool _stop;
    private volatile string? _failure;

    /// <summary>Begins to send.</summary>
    /// <param name="descriptor">The link's connection, blocking. The caller closes it, after <see cref="Dispose"/>.</param>
    /// <param name="sessions">How many sessions there are.</param>
    /// <param name="packetBytes">The length of each packet, more than a header's.</param>
    public PacketFlood(int descriptor, int sessions, int packetBytes)
    {
        _descriptor = descriptor;
        _packetBytes = packetBytes;
        int packets = sessions * Math.Max(1, BatchBytes / (sessions * packetBytes));
        _batch = new byte[packets * packetBytes];
        _batch.AsSpan().Fill((byte)'x');
        for (int i = 0; i < packets; i++)
            PacketHeader.Write(_batch.AsSpan(i * packetBytes), packetBytes, id: 1 + (ulong)(i % sessions));

        _sender = new Thread(Send) { Name = "bench sender", IsBackground = true };
        _receiver = new Thread(Receive) { Name = "bench receiver", IsBackground = true };
        _receiver.Start();
        _sender.Start();
    }

    /// <summary>Bytes that have come back so far. Any thread may ask.</summary>
    public long BytesReceived => Volatile.Read(ref _received);

    /// <summary>Bytes that were sent and have not come back.</summary>
    public long BytesMissing => Volatile.Read(ref _sent) - BytesReceived;

    /// <summary>Why the link is of no use any more; null: it still is.</summary>
    public string? Failure => _failure;

    /// <summary>Whether nothing more is to come.</summary>
    public bool IsOver => _failure is not null || (!_sender.IsAlive && BytesMissing == 0);

    /// <summary>Sends no more than what is under way.</summary>
    public void StopSending() => _stop = true;

    /// <summary>Shuts the connection down, and waits until both threads have ended.</summary>
    public void Dispose()
    {
        _stop = true;
        _ = Libc.Shutdown(_descriptor, Libc.ShutBoth);
        _sender.Join();
        _receiver.Join();
    }

    private void Send()
    {
        fixed (byte* batch = _batch)
        {
            while (!_stop)
            {
                for (nint sent = 0, more; sent < _batch.Length; sent += more)
                {
                    more = Libc.Send(_descriptor, batch + sent, (nuint)(_batch.Length - sent), Libc.MsgNoSignal);
                    if (more <= 0)
                    {
                        Lose();
                        return;
                    }
                }

                Volatile.Write(ref _sent, _sent + _batch.Length);
            }
        }
    }

    private void Receive()
    {
        byte[] buffer = new byte[BatchBytes];
        Span<byte> expected = stackalloc byte[PacketHeader.Size];
        PacketHeader.Write(expected, _packetBytes, id: 0);

        // The length's ten digits and the separator behind them, as two numbers that overlap by a byte.
        ulong lengthBegin = Unsafe.ReadUnaligned<ulong>(ref expected[0]);
        uint lengthEnd = Unsafe.ReadUnaligned<uint>(ref expected[7]);
        int tail = 0;
        while (true)
        {
            nint got;
            fixed (byte* free = &buffer[tail]) got = Libc.Receive(_descriptor, free, (nuint)(buffer.Length - tail), 0);
            if (got <= 0)
            {
                Lose(isEnd: got == 0);
                return;
            }

            int filled = tail + (int)got;
            int at = 0;
            for (; at + _packetBytes <= filled; at += _packetBytes)
            {
                if (Unsafe.ReadUnaligned<ulong>(ref buffer[at]) == lengthBegin && Unsafe.ReadUnaligned<uint>(ref buffer[at + 7]) == lengthEnd)
                    continue;
                _failure = "a packet came back that was never sent";
                return;
            }

            tail = filled - at;
            buffer.AsSpan(at, tail).CopyTo(buffer);
            Volatile.Write(ref _received, _received + got);
        }
    }

    private void Lose(bool isEnd = false) =>
        _failure ??= $"the link was lost: {(isEnd ? "the other side closed it" : Libc.Describe(Marshal.GetLastPInvokeError()))}";
}
