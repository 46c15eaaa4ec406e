using System.Net;

namespace Megaphone.Configuration;

/// <summary>What the kernel thinks of two addresses to listen on.</summary>
internal static class ListenAddress
{
    /// <summary>Whether they cannot both be listened on: the same path of a Unix socket, or what follows.</summary>
    public static bool Overlap(EndPoint one, EndPoint other) => one is IPEndPoint first && other is IPEndPoint second
        ? Overlap(first, second)
        : one.Equals(other);

    /// <summary>
    /// Whether they cannot both be listened on: one port, and one address, or one of them stands for all. <c>[::]</c> stands for all of
    /// IPv4 too, as our listeners bind it. Port 0 is any port that is free.
    /// </summary>
    public static bool Overlap(IPEndPoint one, IPEndPoint other)
    {
        if (one.Port != other.Port || one.Port == 0) return false;
        IPAddress first = Plain(one.Address), second = Plain(other.Address);
        return first.Equals(second) || IsAnyFor(first, second) || IsAnyFor(second, first);
    }

    private static bool IsAnyFor(IPAddress any, IPAddress address) =>
        any.Equals(IPAddress.IPv6Any) || (any.Equals(IPAddress.Any) && address.AddressFamily == any.AddressFamily);

    /// <summary>An IPv4 address, where it is written as one of IPv6.</summary>
    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
