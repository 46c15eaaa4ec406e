using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using Megaphone.Sockets;

namespace Megaphone.Ecm;

/// <summary>Writes the header of the PROXY protocol, version 1 or 2, as HAProxy's specification has it.</summary>
internal static class ProxyHeader
{
    /// <summary>Room for any header that is written here: the longest of version 1.</summary>
    public const int MaxBytes = 107;

    private const int V2AddressOffset = 16;

    /// <summary>Writes the header for a client.</summary>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <param name="mode"><see cref="ProxyMode.V1"/> or <see cref="ProxyMode.V2"/>.</param>
    /// <param name="client">The client's address.</param>
    /// <param name="listener">The address that it connected to, of the same family.</param>
    /// <returns>The bytes written.</returns>
    public static int Write(Span<byte> destination, ProxyMode mode, in NativeAddress client, in NativeAddress listener) =>
        mode == ProxyMode.V1 ? WriteText(destination, client, listener) : WriteBinary(destination, client, listener);

    /// <summary><c>PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n</c></summary>
    private static int WriteText(Span<byte> destination, in NativeAddress client, in NativeAddress listener)
    {
        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"PROXY {(client.IsV4 ? "TCP4" : "TCP6")} {new IPAddress(client.AddressBytes)} {new IPAddress(listener.AddressBytes)} {client.Port} {listener.Port}\r\n");
        return Encoding.ASCII.GetBytes(text, destination);
    }

    /// <summary>Signature (12), version and command (1), family (1), length of the rest (2), addresses, ports.</summary>
    private static int WriteBinary(Span<byte> destination, in NativeAddress client, in NativeAddress listener)
    {
        ReadOnlySpan<byte> from = client.AddressBytes;
        ReadOnlySpan<byte> to = listener.AddressBytes;
        int rest = from.Length + to.Length + 4;

        "\r\n\r\n\0\r\nQUIT\n"u8.CopyTo(destination);
        destination[12] = 0x21;
        destination[13] = client.IsV4 ? (byte)0x11 : (byte)0x21;
        BinaryPrimitives.WriteUInt16BigEndian(destination[14..], (ushort)rest);
        Span<byte> addresses = destination[V2AddressOffset..];
        from.CopyTo(addresses);
        to.CopyTo(addresses[from.Length..]);
        BinaryPrimitives.WriteUInt16BigEndian(addresses[(from.Length + to.Length)..], client.Port);
        BinaryPrimitives.WriteUInt16BigEndian(addresses[(from.Length + to.Length + 2)..], listener.Port);
        return V2AddressOffset + rest;
    }
}
