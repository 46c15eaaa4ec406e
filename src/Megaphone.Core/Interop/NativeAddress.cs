using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Megaphone.Interop;

/// <summary>
/// An IPv4 or IPv6 address with port, laid out as <c>sockaddr_in</c> or <c>sockaddr_in6</c>; or the other end of a Unix socket, which has none.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = Size)]
internal struct NativeAddress : IEquatable<NativeAddress>
{
    /// <summary>The bytes of the larger of the two forms.</summary>
    public const int Size = 28;

    private const int PortOffset = 2;
    private const int V4Offset = 4;
    private const int V6Offset = 8;
    private const int ScopeOffset = 24;

    private readonly ushort _family;

    /// <summary>Converts an end point.</summary>
    public NativeAddress(IPEndPoint endPoint)
    {
        bool v6 = endPoint.AddressFamily == AddressFamily.InterNetworkV6;
        Span<byte> bytes = Bytes;
        bytes.Clear();
        _family = v6 ? (ushort)Libc.AfInet6 : (ushort)Libc.AfInet;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[PortOffset..], (ushort)endPoint.Port);
        endPoint.Address.TryWriteBytes(bytes[(v6 ? V6Offset : V4Offset)..], out _);
        if (v6) BinaryPrimitives.WriteUInt32LittleEndian(bytes[ScopeOffset..], (uint)endPoint.Address.ScopeId);
    }

    private NativeAddress(ushort family) => _family = family;

    /// <summary>Who is connected over a Unix socket. What path its end may have is its own choice, and says nothing.</summary>
    public static NativeAddress Unix { get; } = new((ushort)Libc.AfUnix);

    /// <summary>AF_INET, AF_INET6 or AF_UNIX; 0: none.</summary>
    public readonly int Family => _family;

    /// <summary>The length to pass to system calls.</summary>
    public readonly uint Length => _family == Libc.AfInet6 ? Size : 16u;

    /// <summary>The port, 0 to 65535.</summary>
    public readonly ushort Port => BinaryPrimitives.ReadUInt16BigEndian(ReadOnlyBytes[PortOffset..]);

    /// <summary>Whether this is the other end of a Unix socket.</summary>
    public readonly bool IsUnix => _family == Libc.AfUnix;

    /// <summary>Whether this is an IPv4-mapped IPv6 address (<c>::ffff:a.b.c.d</c>), as a dual-stack listener gets it.</summary>
    public readonly bool IsMappedV4 =>
        _family == Libc.AfInet6 &&
        ReadOnlyBytes.Slice(V6Offset, 12).SequenceEqual((ReadOnlySpan<byte>)[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);

    /// <summary>Whether this is an IPv4 address, mapped or not.</summary>
    public readonly bool IsV4 => _family == Libc.AfInet || IsMappedV4;

    /// <summary>Whether this is the wildcard address of its family.</summary>
    public readonly bool IsAny => !AddressBytes.ContainsAnyExcept((byte)0);

    [UnscopedRef]
    private readonly ReadOnlySpan<byte> ReadOnlyBytes =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<NativeAddress>(in this));

    [UnscopedRef]
    private Span<byte> Bytes => MemoryMarshal.AsBytes(new Span<NativeAddress>(ref this));

    /// <summary>The 4 or 16 bytes of the address in network order; a mapped IPv4 address gives 4, and a Unix socket none.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<byte> AddressBytes =>
        _family == Libc.AfInet ? ReadOnlyBytes.Slice(V4Offset, 4)
        : IsMappedV4 ? ReadOnlyBytes.Slice(V6Offset + 12, 4)
        : IsUnix ? default
        : ReadOnlyBytes.Slice(V6Offset, 16);

    /// <summary>Whether all bytes are equal. The default would compare only the declared field.</summary>
    public readonly bool Equals(NativeAddress other) => ReadOnlyBytes.SequenceEqual(other.ReadOnlyBytes);

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is NativeAddress other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode()
    {
        HashCode hash = default;
        hash.AddBytes(ReadOnlyBytes);
        return hash.ToHashCode();
    }

    /// <summary>The managed form of an address of IP; a mapped IPv4 address becomes IPv4.</summary>
    public readonly IPEndPoint ToEndPoint() => new(new IPAddress(AddressBytes), Port);

    /// <summary><c>192.0.2.7:50000</c>, <c>[2001:db8::7]:50000</c>, or <c>unix</c>.</summary>
    public override readonly string ToString() => IsUnix ? "unix" : ToEndPoint().ToString();
}
