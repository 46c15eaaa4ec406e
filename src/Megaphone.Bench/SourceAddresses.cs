using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Bench;

/// <summary>A range of IPv4 addresses that connections come from, in turn.</summary>
/// <param name="First">The first address.</param>
/// <param name="Count">How many addresses there are.</param>
/// <param name="Port">The port of each; 0: the kernel chooses.</param>
internal sealed record SourceAddresses(uint First, uint Count, int Port = 0)
{
    private const int AddressBits = 32;

    private readonly NativeAddress _any = new(new IPEndPoint(IPAddress.Any, Port));

    /// <summary>For connections to this machine: so many that ports do not run out, and no server's own address among them.</summary>
    public static SourceAddresses Loopback { get; } = Parse("127.64.0.0/10")!;

    /// <summary>Reads <c>ADDRESS</c> or <c>ADDRESS/BITS</c>, without the range's first and last address.</summary>
    /// <returns>Null when it is neither.</returns>
    public static SourceAddresses? Parse(string text, int port = 0)
    {
        int slash = text.IndexOf('/');
        int bits = AddressBits;
        if (slash >= 0 && !int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, null, out bits)) return null;
        if (bits is < 8 or > AddressBits) return null;
        if (!IPAddress.TryParse(slash < 0 ? text : text[..slash], out IPAddress? address)) return null;
        if (address.AddressFamily != AddressFamily.InterNetwork) return null;

        uint first = BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
        if (bits > AddressBits - 2) return new SourceAddresses(first, 1u << (AddressBits - bits), port);
        uint size = 1u << (AddressBits - bits);
        return new SourceAddresses((first & ~(size - 1)) + 1, size - 2, port);
    }

    /// <summary>The address for a connection.</summary>
    public NativeAddress Of(int connection)
    {
        // Written in place: what a million address objects leave behind is more than the connections take.
        NativeAddress address = _any;
        Span<byte> bytes = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(address.AddressBytes), sizeof(uint));
        BinaryPrimitives.WriteUInt32BigEndian(bytes, First + (uint)connection % Count);
        return address;
    }
}
