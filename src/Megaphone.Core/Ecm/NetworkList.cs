using System.Buffers.Binary;
using System.Net;
using Megaphone.Interop;

namespace Megaphone.Ecm;

/// <summary>A list of networks, of which there may be very many. Immutable.</summary>
/// <remarks>One set for each length of prefix. An IPv4 network is the same as the IPv6 one of the IPv4-mapped addresses in it.</remarks>
internal sealed class NetworkList
{
    private const int AddressBits = 128;

    private readonly (UInt128 Mask, HashSet<UInt128> Networks)[] _byPrefix;

    /// <summary>Makes the list.</summary>
    public NetworkList(IEnumerable<IPNetwork> networks) => _byPrefix =
    [
        .. networks.GroupBy(PrefixOf).Select(alike =>
            (MaskOf(alike.Key), alike.Select(network => NumberOf(network.BaseAddress.GetAddressBytes()) & MaskOf(alike.Key)).ToHashSet())),
    ];

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => _byPrefix.Length == 0;

    /// <summary>Whether an address is in one of them.</summary>
    public bool Contains(in NativeAddress address) => Contains(address.AddressBytes);

    /// <summary>Whether an address is in one of them.</summary>
    /// <param name="address">Its 4 or 16 bytes in network order; none, of a client of a Unix socket, is in no network.</param>
    public bool Contains(ReadOnlySpan<byte> address)
    {
        if (IsEmpty || address.IsEmpty) return false;
        UInt128 number = NumberOf(address);
        foreach ((UInt128 mask, HashSet<UInt128> networks) in _byPrefix)
        {
            if (networks.Contains(number & mask)) return true;
        }

        return false;
    }

    private static int PrefixOf(IPNetwork network) =>
        network.PrefixLength + (AddressBits - (8 * network.BaseAddress.GetAddressBytes().Length));

    private static UInt128 MaskOf(int prefix) => prefix == 0 ? UInt128.Zero : UInt128.MaxValue << (AddressBits - prefix);

    private static UInt128 NumberOf(ReadOnlySpan<byte> address) => address.Length == 4
        ? ((UInt128)0xFFFF << 32) | BinaryPrimitives.ReadUInt32BigEndian(address)
        : BinaryPrimitives.ReadUInt128BigEndian(address);
}
