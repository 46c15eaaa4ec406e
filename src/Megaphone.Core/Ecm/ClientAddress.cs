using System.Buffers.Binary;
using System.Net;
using Megaphone.Interop;

namespace Megaphone.Ecm;

/// <summary>To whom a client is attributed: an IPv4 address, the upper 64 bits of an IPv6 address, or a network that is wider than these.</summary>
/// <remarks>
/// <para>Eight bytes. IPv6 stands for itself; the others begin with 16 bits that no client's IPv6 address begins with, since those of ff00::/8
/// are groups. A host with one IPv6 address has all 2⁶⁴ of its network, so the lower half tells nobody apart.</para>
/// <para>An IPv4-mapped IPv6 address is the IPv4 address. All clients of Unix sockets are one, which is no network's.</para>
/// </remarks>
/// <param name="Value">The eight bytes; never all ones.</param>
internal readonly record struct ClientAddress(ulong Value)
{
    private const int TagShift = 48;
    private const ulong Ipv4Tag = 0xFFFF;
    private const ulong SiteTag = 0xFFFE;
    private const ulong UnixTag = 0xFFFD;

    /// <summary>Whether it is of IPv4.</summary>
    public bool IsV4 => Value >> TagShift == Ipv4Tag;

    /// <summary>Whether it stands for the clients of Unix sockets.</summary>
    public bool IsUnix => Value >> TagShift == UnixTag;

    /// <summary>Whether a client can have it.</summary>
    public bool IsPossible => Value >> TagShift != SiteTag && (!IsV4 || (ushort)(Value >> 32) == 0) && (!IsUnix || this == Unix);

    /// <summary>The clients of Unix sockets.</summary>
    public static ClientAddress Unix => new(UnixTag << TagShift);

    /// <summary>By which most can be told who are not in a network: its first bytes in one, two of IPv4 and four of IPv6.</summary>
    public byte Hint => IsV4 ? Fold((ushort)(Value >> 16)) : Fold((uint)(Value >> 32));

    /// <summary>That of the other end of a connection.</summary>
    public static ClientAddress Of(in NativeAddress peer)
    {
        if (peer.IsUnix) return Unix;
        ReadOnlySpan<byte> bytes = peer.AddressBytes;
        return bytes.Length == 4
            ? new ClientAddress((Ipv4Tag << TagShift) | BinaryPrimitives.ReadUInt32BigEndian(bytes))
            : new ClientAddress(BinaryPrimitives.ReadUInt64BigEndian(bytes));
    }

    /// <summary>The <see cref="Hint"/> of all addresses in a network; null: they have more than one.</summary>
    public static byte? HintOf(IPNetwork network)
    {
        bool isMapped = network.BaseAddress.IsIPv4MappedToIPv6;
        ReadOnlySpan<byte> bytes = (isMapped ? network.BaseAddress.MapToIPv4() : network.BaseAddress).GetAddressBytes();
        int hinted = bytes.Length == 4 ? sizeof(ushort) : sizeof(uint);
        if (network.PrefixLength - (isMapped ? 96 : 0) < 8 * hinted) return null;
        return hinted == sizeof(ushort) ? Fold(BinaryPrimitives.ReadUInt16BigEndian(bytes)) : Fold(BinaryPrimitives.ReadUInt32BigEndian(bytes));
    }

    /// <summary>The network that it is in.</summary>
    /// <param name="ipv4Prefix">How many bits tell IPv4 networks apart, 1 to 32.</param>
    /// <param name="ipv6Prefix">The same for IPv6, 1 to 64.</param>
    public ClientAddress Within(int ipv4Prefix, int ipv6Prefix) =>
        new(Value & (ulong.MaxValue << (IsV4 ? 32 - ipv4Prefix : 64 - ipv6Prefix)));

    /// <summary>The wider IPv6 network that it is in, which is another one than the narrower with the same bits.</summary>
    /// <param name="prefix">How many bits tell these apart, 1 to 48.</param>
    public ClientAddress Site(int prefix) => new((SiteTag << TagShift) | ((Value & (ulong.MaxValue << (64 - prefix))) >> 16));

    /// <summary>Its 4 or 16 bytes in network order, none for Unix sockets; the lower half of an IPv6 address is not known, and zero.</summary>
    /// <param name="bytes">Where to; 16 bytes.</param>
    public ReadOnlySpan<byte> WriteTo(Span<byte> bytes)
    {
        bytes.Clear();
        if (IsUnix) return default;
        if (IsV4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)Value);
            return bytes[..4];
        }

        BinaryPrimitives.WriteUInt64BigEndian(bytes, Value >> TagShift == SiteTag ? Value << 16 : Value);
        return bytes[..16];
    }

    /// <summary>The address, the beginning of the IPv6 network, or <c>unix</c>.</summary>
    public override string ToString()
    {
        if (IsUnix) return NativeAddress.Unix.ToString();
        Span<byte> bytes = stackalloc byte[16];
        return new IPAddress(WriteTo(bytes)).ToString();
    }

    private static byte Fold(uint bytes) => (byte)(bytes ^ bytes >> 8 ^ bytes >> 16 ^ bytes >> 24);
}
