using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Megaphone.Interop;
using Megaphone.Unix;

namespace Megaphone.Links;

/// <summary>A link's use of its socket beside sending and receiving.</summary>
internal static class LinkSocket
{
    private const int Probes = 3;

    /// <summary>So often the same has been sent again in vain after 1.4 s, where the way to the other end and back is short.</summary>
    private const int StalledRetransmissions = 3;

    private const int RoundTripOffset = 68;

    /// <summary>Sets the options of a connected socket.</summary>
    /// <exception cref="SocketException">It is no longer connected.</exception>
    public static void Configure(Socket socket, LinkOptions options)
    {
        if (options.SocketBufferBytes > 0) socket.SendBufferSize = socket.ReceiveBufferSize = options.SocketBufferBytes;
        if (IsUnix(socket)) return;
        socket.NoDelay = true;
        if (IsLocal(socket)) DisablePacing(socket);

        int seconds = (int)Math.Max(1, options.KeepAlive.TotalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, seconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, seconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);

        // The counterpart of keep-alive for a link with unacknowledged data: a dead peer is detected as soon.
        int userTimeout = (int)Math.Min(int.MaxValue, Probes * options.KeepAlive.TotalMilliseconds);
        socket.SetRawSocketOption(Libc.IpProtoTcp, Libc.TcpUserTimeout, BitConverter.GetBytes(userTimeout));
    }

    /// <summary>Where nothing is sent again, and nobody can vanish.</summary>
    private static bool IsUnix(Socket socket) => socket.AddressFamily == AddressFamily.Unix;

    private static bool IsLocal(Socket socket) =>
        socket.LocalEndPoint is IPEndPoint here && socket.RemoteEndPoint is IPEndPoint there
        && (IPAddress.IsLoopback(there.Address) || here.Address.Equals(there.Address));

    /// <summary>Selects a congestion control without pacing, if it may.</summary>
    /// <remarks>
    /// Between two processes of one machine there is no congestion, but BBR, the default of many servers, paces by timers
    /// nevertheless, which costs a third of a link's throughput. Reno is in every kernel, and every user may choose it unless
    /// <c>net.ipv4.tcp_allowed_congestion_control</c> forbids it; then the system's default stays.
    /// </remarks>
    private static void DisablePacing(Socket socket)
    {
        try
        {
            socket.SetRawSocketOption(Libc.IpProtoTcp, Libc.TcpCongestion, "reno"u8);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AccessDenied or SocketError.OperationNotSupported)
        {
            // The link works without it.
        }
    }

    /// <summary>The address at the other end; an IPv4-mapped IPv6 address is written as IPv4. Who has connected over a Unix socket has none: a path
    /// that it may have is its own choice.</summary>
    /// <exception cref="SocketException">It is no longer connected.</exception>
    public static string PeerOf(Socket socket) => socket.RemoteEndPoint switch
    {
        UnixDomainSocketEndPoint path when socket.LocalEndPoint?.ToString() is null or "" => UnixEndPoint.Prefix + path,
        UnixDomainSocketEndPoint => "unix",
        IPEndPoint { Address.IsIPv4MappedToIPv6: true } mapped => new IPEndPoint(mapped.Address.MapToIPv4(), mapped.Port).ToString(),
        { } peer => peer.ToString()!,
        null => "?",
    };

    /// <summary>Whether something has arrived that has not been received yet; false when the socket is closed.</summary>
    public static bool HasUnread(Socket socket)
    {
        try
        {
            return socket.Available > 0;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Whether what was sent has been sent again, and again, and does not arrive; false when the socket is closed.</summary>
    public static bool IsStalled(Socket socket)
    {
        // struct tcp_info: state, state of congestion control, retransmissions of what is first to be acknowledged.
        if (IsUnix(socket)) return false;
        Span<byte> info = stackalloc byte[3];
        try
        {
            return socket.GetRawSocketOption(Libc.IpProtoTcp, Libc.TcpInfo, info) == info.Length && info[2] >= StalledRetransmissions;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>How long the network takes to the other end and back, as the kernel estimates it; null when the socket is closed, and for a Unix
    /// socket.</summary>
    public static TimeSpan? RoundTrip(Socket socket)
    {
        // struct tcp_info: tcpi_rtt, in microseconds.
        if (IsUnix(socket)) return null;
        Span<byte> info = stackalloc byte[RoundTripOffset + sizeof(int)];
        try
        {
            int length = socket.GetRawSocketOption(Libc.IpProtoTcp, Libc.TcpInfo, info);
            return length == info.Length ? TimeSpan.FromMicroseconds(BinaryPrimitives.ReadUInt32LittleEndian(info[RoundTripOffset..])) : null;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>Ends our direction, if the socket is still open.</summary>
    public static void EndSending(Socket socket) => Shutdown(socket, SocketShutdown.Send);

    /// <summary>Ends a receive that is under way, if the socket is still open.</summary>
    public static void EndReceiving(Socket socket) => Shutdown(socket, SocketShutdown.Receive);

    private static void Shutdown(Socket socket, SocketShutdown how)
    {
        try
        {
            socket.Shutdown(how);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }
    }
}
