using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Megaphone.Protocol;

namespace Megaphone.Load;

/// <summary>
/// Plays an ECM of sections 1 to 3 of the link protocol: sends packets of one length on many sessions in turn, as fast as
/// they are taken, and looks at the header of each packet that comes back. One thread sends, one receives.
/// </summary>
internal sealed class PacketFlood : IDisposable
{
    /// <summary>Empty packets would end their sessions.</summary>
    public const int SmallestPacket = PacketHeader.Size + 1;

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

    /// <exception cref="IOException">The other end cannot be reached.</exception>
    public PacketFlood(IPEndPoint to, int sessions, int packetBytes)
    {
        _packetBytes = packetBytes;
        _socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        int rounds = Math.Max(1, BatchBytes / (sessions * packetBytes));
        _batch = new byte[rounds * sessions * packetBytes];
        _batch.AsSpan().Fill((byte)'x');
        for (int i = 0; i < rounds * sessions; i++)
            PacketHeader.Write(_batch.AsSpan(i * packetBytes), packetBytes, id: 1 + (ulong)(i % sessions));

        _sender = new Thread(Send) { IsBackground = true };
        _receiver = new Thread(Receive) { IsBackground = true };
        try
        {
            _socket.Connect(to);
        }
        catch (SocketException failure)
        {
            throw new IOException($"cannot connect to {to}: {failure.Message}", failure);
        }
    }

    /// <summary>Bytes that have come back so far. Any thread may ask.</summary>
    public long BytesReceived => Volatile.Read(ref _received);

    /// <summary>Begins to send.</summary>
    public void Start()
    {
        _receiver.Start();
        _sender.Start();
    }

    /// <summary>Sends no more, and waits for what is still to come.</summary>
    /// <returns>The number of bytes that did not come back.</returns>
    /// <exception cref="IOException">The link was lost, or something else came back than was sent.</exception>
    public long Finish(TimeSpan patience)
    {
        _stop = true;
        DateTime end = DateTime.UtcNow + patience;
        while (_failure is null && DateTime.UtcNow < end && (_sender.IsAlive || BytesReceived < Volatile.Read(ref _sent)))
            Thread.Sleep(10);
        return _failure is null ? Volatile.Read(ref _sent) - BytesReceived : throw new IOException(_failure);
    }

    /// <summary>Closes the link.</summary>
    public void Dispose() => _socket.Dispose();

    private void Send()
    {
        while (!_stop)
        {
            int sent = _socket.Send(_batch, SocketFlags.None, out SocketError error);
            if (error != SocketError.Success || sent != _batch.Length)
            {
                _failure ??= $"after {Volatile.Read(ref _sent)} bytes sent: {error}";
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
        ulong lengthTop = Unsafe.ReadUnaligned<ulong>(ref expected[0]);
        uint lengthEnd = Unsafe.ReadUnaligned<uint>(ref expected[7]);

        int tail = 0;
        while (true)
        {
            int got = _socket.Receive(buffer, tail, buffer.Length - tail, SocketFlags.None, out SocketError error);
            if (got <= 0)
            {
                _failure ??= $"after {BytesReceived} bytes received: {(error == SocketError.Success ? "closed by the other end" : error)}";
                return;
            }

            int filled = tail + got;
            int at = 0;
            for (; at + _packetBytes <= filled; at += _packetBytes)
            {
                if (Unsafe.ReadUnaligned<ulong>(ref buffer[at]) == lengthTop && Unsafe.ReadUnaligned<uint>(ref buffer[at + 7]) == lengthEnd)
                    continue;
                _failure = $"after {BytesReceived} bytes received came a packet that nobody sent";
                return;
            }

            tail = filled - at;
            buffer.AsSpan(at, tail).CopyTo(buffer);
            Volatile.Write(ref _received, _received + got);
        }
    }
}
