using System.Buffers.Binary;
using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>What the kernel counts of a TCP connection, TLS included. Of a Unix socket it counts nothing.</summary>
/// <param name="Received">Bytes that have arrived.</param>
/// <param name="Sent">Bytes that have arrived at the other end.</param>
/// <param name="Silence">The time since data last arrived, or since it was connected.</param>
internal readonly record struct SocketCounts(long Received, long Sent, TimeSpan Silence)
{
    // struct tcp_info: tcpi_last_data_recv in milliseconds, tcpi_bytes_acked, tcpi_bytes_received.
    private const int LastReceivedOffset = 52, AckedOffset = 120, ReceivedOffset = 128, Length = ReceivedOffset + sizeof(long);

    /// <summary>Those of a socket; zeros if the kernel does not tell.</summary>
    public static unsafe SocketCounts Of(int descriptor)
    {
        byte* bytes = stackalloc byte[Length];
        uint length = Length;
        if (Libc.GetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpInfo, bytes, &length) != 0 || length < Length) return default;
        ReadOnlySpan<byte> info = new(bytes, Length);
        return new SocketCounts(
            BinaryPrimitives.ReadInt64LittleEndian(info[ReceivedOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(info[AckedOffset..]),
            TimeSpan.FromMilliseconds(BinaryPrimitives.ReadUInt32LittleEndian(info[LastReceivedOffset..])));
    }
}
