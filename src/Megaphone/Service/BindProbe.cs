using System.Net;
using System.Net.Sockets;

namespace Megaphone.Service;

/// <summary>Finds out whether, and why not, an address can be listened on; without listening.</summary>
internal static class BindProbe
{
    /// <summary>Binds a socket there and closes it again.</summary>
    /// <returns>Why it cannot be bound; null when it can.</returns>
    public static SocketError? Try(IPEndPoint address)
    {
        try
        {
            using Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(address);
            return null;
        }
        catch (SocketException error)
        {
            return error.SocketErrorCode;
        }
    }

    /// <summary>Why, in words.</summary>
    public static string Reason(SocketError error) => error switch
    {
        SocketError.AddressAlreadyInUse => "something listens there already",
        SocketError.AddressNotAvailable => "this machine has no such address",
        SocketError.AccessDenied => "this user may not listen on that port",
        SocketError.AddressFamilyNotSupported => "this machine has no IPv6",
        _ => new SocketException((int)error).Message,
    };

    /// <summary>What to do about it.</summary>
    public static string Mend(SocketError error, IPEndPoint address) => error switch
    {
        SocketError.AddressAlreadyInUse => $"`ss -ltnp 'sport = :{address.Port}'` shows what",
        SocketError.AddressNotAvailable => "`ip address` shows those it has",
        SocketError.AccessDenied => $"`sysctl -w net.ipv4.ip_unprivileged_port_start={address.Port}` allows it to everybody on this machine",
        SocketError.AddressFamilyNotSupported => "write an IPv4 address",
        _ => "write another address",
    };
}
