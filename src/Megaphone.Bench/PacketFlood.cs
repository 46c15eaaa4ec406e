using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Megaphone.Protocol;

namespace Megaphone.Bench;

/// <summary>
/// Plays an ECM of sections 1 to 3 of the link protocol: sends packets of one length on many sessions in turn, as fast as
/// they are taken, and checks the header of each packet that comes back. One thread sends, one receives.
/// </summary>
internal sealed class PacketFlood : IDisposable
{
    /// <summary>About what is given to the kernel at a time; more of it does not fit into the processor's cache.</summary>
    private const int BatchBytes = 256 << 10;

    private readonly Socket _socket;
    private readonly byte[] _batch;
    private readonly int _packetBytes;
    private readonly Thread _sender;
    private readonly Thread _receiver;
    private long _sent;
    private long _received;
    private volatile bool _stop;
    private volatile string? _failure;

    /// <summary>Begins to send.</summary>
    /// <param name="socket">Connected; owned from now on.</param>
    /// <param name="sessions">How many sessions there are.</param>
    /// <param name="packetBytes">The length of each packet, more than a header's.</param>
    public PacketFlood(Socket socket, int sessions, int packetBytes)
    {
        _socket = socket;
        _socket.NoDelay = true;
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

    /// <summary>Ends both threads, and closes the link.</summary>
    public void Dispose()
    {
        _stop = true;
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The link is down already, and both threads know.
        }

        _sender.Join();
        _receiver.Join();
        _socket.Dispose();
    }

    private void Send()
    {
        while (!_stop)
        {
            int sent = _socket.Send(_batch, SocketFlags.None, out SocketError error);
            if (error != SocketError.Success || sent != _batch.Length)
            {
                _failure ??= $"the link was lost: {error}";
                return;
            }

            Volatile.Write(ref _sent, _sent + sent);
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
            int got = _socket.Receive(buffer, tail, buffer.Length - tail, SocketFlags.None, out SocketError error);
            if (got <= 0)
            {
                _failure ??= $"the link was lost: {(error == SocketError.Success ? "closed by the other side" : error)}";
                return;
            }

            int filled = tail + got;
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
}
