using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Megaphone.Links;

/// <summary>The address to which a connection is attributed: an IPv4 address, or the upper 64 bits of an IPv6 address, its network.</summary>
/// <remarks>
/// A host with one IPv6 address has 2⁶⁴ of them. An IPv4-mapped IPv6 address counts as IPv4.
/// </remarks>
/// <param name="Family">IPv4 or IPv6; unspecified for any other kind of end point.</param>
/// <param name="Network">The address, or its upper half.</param>
internal readonly record struct PeerAddress(AddressFamily Family, ulong Network)
{
    /// <summary>The address to which a connection with this remote end point is attributed.</summary>
    public static PeerAddress Of(EndPoint? endPoint)
    {
        if (endPoint is not IPEndPoint { Address: { } address }) return default;
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out int length);
        return length == 4
            ? new PeerAddress(AddressFamily.InterNetwork, BinaryPrimitives.ReadUInt32BigEndian(bytes))
            : new PeerAddress(AddressFamily.InterNetworkV6, BinaryPrimitives.ReadUInt64BigEndian(bytes));
    }

    /// <inheritdoc/>
    public override int GetHashCode() => new KeyedNumber(Network).GetHashCode() ^ (int)Family;
}
