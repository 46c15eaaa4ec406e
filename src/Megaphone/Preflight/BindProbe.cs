using System.Net;
using System.Net.Sockets;
using Megaphone.Unix;

namespace Megaphone.Preflight;

/// <summary>Finds out whether an address can be listened on, and if not, why; without listening.</summary>
internal static class BindProbe
{
    /// <summary>Binds a socket to the address and closes it again; of a Unix socket it only looks whether that could be done.</summary>
    /// <returns>Why it cannot be bound; null when it can.</returns>
    public static Obstacle? Try(EndPoint listening)
    {
        if (listening is UnixEndPoint { Path: var path })
        {
            return UnixPath.FindObstacle(path) is { } there
                ? new Obstacle(there.Reason, there.Fix)
                {
                    IsForbidden = there.IsForbidden,
                    Service = ListeningSockets.IsService(there.Process) ? there.Process : null,
                }
                : null;
        }

        IPEndPoint address = (IPEndPoint)listening;
        try
        {
            using Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (address.Address.Equals(IPAddress.IPv6Any)) socket.DualMode = true;
            socket.Bind(address);
            return null;
        }
        catch (SocketException error)
        {
            Obstacle obstacle = Describe(error.SocketErrorCode, address, ListeningSockets.Overlap(address), ReservedPorts.Read());
            return error.SocketErrorCode == SocketError.AddressAlreadyInUse
                ? obstacle with { Service = ListeningSockets.ServiceAt(address) }
                : obstacle;
        }
    }

    /// <summary>Describes why an address cannot be bound.</summary>
    /// <param name="error">The kernel's error.</param>
    /// <param name="address">The address.</param>
    /// <param name="isListening">Whether something listens there; null: not known.</param>
    /// <param name="reserved">The ports that no outgoing connection gets.</param>
    public static Obstacle Describe(SocketError error, IPEndPoint address, bool? isListening, ReservedPorts reserved) => error switch
    {
        SocketError.AddressAlreadyInUse when isListening is false => new(
            "an outgoing connection of this machine uses that port, and nothing listens there",
            $"`ss -tanp 'sport = :{address.Port}'` shows the connection, which has to end; up to a minute later the port is free. "
            + $"`sysctl -w {reserved.With([address.Port])}` keeps the next ones off it"),
        SocketError.AddressAlreadyInUse when isListening is true => new(
            "something listens there already", $"`ss -ltnp 'sport = :{address.Port}'` shows what"),
        SocketError.AddressAlreadyInUse => new("that port is in use", $"`ss -tanp 'sport = :{address.Port}'` shows by what"),
        SocketError.AddressNotAvailable => new("this machine has no such address", "`ip address` shows those it has"),
        SocketError.AccessDenied => new(
            "this user may not listen on that port",
            $"`sysctl -w net.ipv4.ip_unprivileged_port_start={address.Port}` allows it to everybody on this machine")
        {
            IsForbidden = true,
        },
        SocketError.AddressFamilyNotSupported => new("this machine has no IPv6", "write an IPv4 address"),
        _ => new(new SocketException((int)error).Message, "write another address"),
    };

    /// <summary>Why an address cannot be listened on.</summary>
    /// <param name="Reason">The reason.</param>
    /// <param name="Fix">What to do about it.</param>
    internal sealed record Obstacle(string Reason, string Fix)
    {
        /// <summary>Whether another user might.</summary>
        public bool IsForbidden { get; init; }

        /// <summary>The process of a Megaphone that listens there; null: that is none, or not known.</summary>
        public int? Service { get; init; }
    }
}
