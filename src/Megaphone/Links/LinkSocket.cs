using System.Net;
using System.Net.Sockets;

namespace Megaphone.Links;

/// <summary>What a link does with its socket beside sending and receiving.</summary>
internal static class LinkSocket
{
    private const int IpProtoTcp = 6;
    private const int TcpUserTimeout = 18;
    private const int Probes = 3;

    /// <summary>Sets the options of a connected socket.</summary>
    /// <exception cref="SocketException">It is connected no longer.</exception>
    public static void Configure(Socket socket, LinkOptions options)
    {
        socket.NoDelay = true;
        if (options.SocketBufferBytes > 0) socket.SendBufferSize = socket.ReceiveBufferSize = options.SocketBufferBytes;

        int seconds = (int)Math.Max(1, options.KeepAlive.TotalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, seconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, seconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);

        // What keep-alive is for a silent link, this is for one with data under way: a dead peer is noticed as soon.
        int userTimeout = (int)Math.Min(int.MaxValue, Probes * options.KeepAlive.TotalMilliseconds);
        socket.SetRawSocketOption(IpProtoTcp, TcpUserTimeout, BitConverter.GetBytes(userTimeout));
    }

    /// <summary>The address at the other end. A dual-mode socket gives IPv4 in the clothes of IPv6, which nobody wants to read.</summary>
    /// <exception cref="SocketException">It is connected no longer.</exception>
    public static string PeerOf(Socket socket) => socket.RemoteEndPoint switch
    {
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

    /// <summary>Ends our direction, if the socket is still open.</summary>
    public static void EndSending(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already, which is what this was to lead to.
        }
    }
}
