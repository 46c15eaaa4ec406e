using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Megaphone.Links;

/// <summary>Whom connections are put down to: an IPv4 address, or the 64 bits of an IPv6 address that name a network.</summary>
/// <remarks>
/// Who has one IPv6 address has 2⁶⁴ of them. An IPv4 address in the form of an IPv6 one counts as what it is.
/// </remarks>
/// <param name="Family">IPv4 or IPv6; unspecified for what has no such address.</param>
/// <param name="Network">The address, or its upper half.</param>
internal readonly record struct PeerAddress(AddressFamily Family, ulong Network)
{
    /// <summary>Whom the other end of a connection is put down to.</summary>
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
