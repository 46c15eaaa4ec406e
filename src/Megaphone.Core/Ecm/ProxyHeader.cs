using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>Writes the header of the PROXY protocol, version 1 or 2, as HAProxy's specification defines it.</summary>
internal static class ProxyHeader
{
    /// <summary>Room for the longest header: version 2 with all TLS fields at their longest.</summary>
    public const int MaxBytes = 528;

    /// <summary>Where in version 2 the addresses begin.</summary>
    public const int V2AddressOffset = 16;

    /// <summary>The family of version 2 that has no addresses.</summary>
    public const byte Unspecified = 0x00;

    /// <summary>The type of the field about TLS.</summary>
    public const byte TypeTls = 0x20;

    /// <summary>The type of the field with the name of the host that the client asked for.</summary>
    public const byte TypeAuthority = 0x02;

    /// <summary>The type of the field with the protocol that the client asked for.</summary>
    public const byte TypeAlpn = 0x01;

    private const byte TypeTlsVersion = 0x21;
    private const byte TypeTlsCipher = 0x23;
    private const byte TypeExporter = 0xE1;
    private const byte TypeServerEndPoint = 0xE2;
    private const byte TypeUnique = 0xE3;
    private const byte ClientSpeaksTls = 0x01;

    /// <summary>Any value but 0: the client showed no certificate that was verified.</summary>
    private const byte NotVerified = 0x01;

    /// <summary>Longer names are left out: no host has one.</summary>
    private const int LongestName = 255;

    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <param name="mode"><see cref="ProxyMode.V1"/> or <see cref="ProxyMode.V2"/>.</param>
    /// <param name="client">The client's address. Of one that is connected over a Unix socket none is told, as HAProxy and nginx do it.</param>
    /// <param name="listener">The address that it connected to. Behind a proxy this may be of another family: then it is not told.</param>
    /// <param name="tls">Its TLS parameters, which version 2 carries; null without TLS.</param>
    /// <param name="most">
    /// If it is longer, it does without the names that the client asked for, and if it is still longer without the cipher's.
    /// </param>
    /// <returns>The number of bytes written.</returns>
    public static int Write(
        Span<byte> destination, ProxyMode mode, in NativeAddress client, in NativeAddress listener, TlsFacts? tls, int most = MaxBytes)
    {
        NativeAddress to = client.IsUnix || (listener.IsV4 == client.IsV4 && !listener.IsUnix)
            ? listener
            : new NativeAddress(new IPEndPoint(client.IsV4 ? IPAddress.Any : IPAddress.IPv6Any, listener.IsUnix ? 0 : listener.Port));
        if (mode == ProxyMode.V1) return WriteText(destination, client, to);
        int length = WriteBinary(destination, client, to, tls);
        if (length > most) length = WriteBinary(destination, client, to, tls! with { ServerName = null, Protocol = null });
        if (length > most) length = WriteBinary(destination, client, to, tls! with { ServerName = null, Protocol = null, Cipher = "" });
        return length;
    }

    /// <summary><c>PROXY TCP4 192.0.2.7 198.51.100.1 50000 5222\r\n</c>, or <c>PROXY UNKNOWN\r\n</c></summary>
    private static int WriteText(Span<byte> destination, in NativeAddress client, in NativeAddress listener)
    {
        if (client.IsUnix) return Encoding.ASCII.GetBytes("PROXY UNKNOWN\r\n", destination);
        string family = client.IsV4 ? "TCP4" : "TCP6";
        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"PROXY {family} {TextOf(client.AddressBytes)} {TextOf(listener.AddressBytes)} {client.Port} {listener.Port}\r\n");
        return Encoding.ASCII.GetBytes(text, destination);
    }

    /// <summary>
    /// An address in the specification's form, which has nothing but hexadecimal digits and colons for IPv6: of addresses that hold one of
    /// IPv4, as <c>::192.0.2.7</c> does, .NET writes the last four bytes in decimal.
    /// </summary>
    private static string TextOf(ReadOnlySpan<byte> address)
    {
        string text = new IPAddress(address).ToString();
        if (address.Length == 4 || !text.Contains('.')) return text;
        ushort high = BinaryPrimitives.ReadUInt16BigEndian(address[12..]), low = BinaryPrimitives.ReadUInt16BigEndian(address[14..]);
        return string.Create(CultureInfo.InvariantCulture, $"{text.AsSpan(0, text.LastIndexOf(':') + 1)}{high:x}:{low:x}");
    }

    /// <summary>Signature (12), version and command (1), family (1), length of the rest (2), addresses, ports, TLS fields.</summary>
    private static int WriteBinary(Span<byte> destination, in NativeAddress client, in NativeAddress listener, TlsFacts? tls)
    {
        ReadOnlySpan<byte> from = client.AddressBytes;
        ReadOnlySpan<byte> to = listener.AddressBytes;
        int rest = client.IsUnix ? 0 : from.Length + to.Length + 4;

        "\r\n\r\n\0\r\nQUIT\n"u8.CopyTo(destination);
        destination[12] = 0x21;
        destination[13] = client.IsUnix ? Unspecified : client.IsV4 ? (byte)0x11 : (byte)0x21;
        Span<byte> addresses = destination[V2AddressOffset..];
        if (rest > 0)
        {
            from.CopyTo(addresses);
            to.CopyTo(addresses[from.Length..]);
            BinaryPrimitives.WriteUInt16BigEndian(addresses[(from.Length + to.Length)..], client.Port);
            BinaryPrimitives.WriteUInt16BigEndian(addresses[(from.Length + to.Length + 2)..], listener.Port);
        }

        if (tls is not null) rest += WriteTls(addresses[rest..], tls);
        BinaryPrimitives.WriteUInt16BigEndian(destination[14..], (ushort)rest);
        return V2AddressOffset + rest;
    }

    /// <summary>
    /// Sections 2.2.1, 2.2.2 and 2.2.6 of the specification: ALPN, authority, TLS. Then channel bindings, of the range that the specification
    /// leaves to others (section 3 of the link protocol).
    /// </summary>
    private static int WriteTls(Span<byte> destination, TlsFacts tls)
    {
        int length = 0;
        if (tls.Protocol is { } protocol) length += WriteField(destination, TypeAlpn, protocol);
        if (tls.ServerName is { Length: <= LongestName } name) length += WriteField(destination[length..], TypeAuthority, name);

        Span<byte> field = destination[length..];
        Span<byte> value = field[3..];
        value[0] = ClientSpeaksTls;
        BinaryPrimitives.WriteUInt32BigEndian(value[1..], NotVerified);
        int valueLength = 5 + WriteField(value[5..], TypeTlsVersion, tls.Version);
        if (tls.Cipher.Length > 0) valueLength += WriteField(value[valueLength..], TypeTlsCipher, tls.Cipher);
        WriteTypeAndLength(field, TypeTls, valueLength);
        length += 3 + valueLength;
        if (tls.Exporter.Length > 0) length += WriteField(destination[length..], TypeExporter, tls.Exporter);
        if (tls.ServerEndPoint.Length > 0) length += WriteField(destination[length..], TypeServerEndPoint, tls.ServerEndPoint);
        if (tls.Unique.Length > 0) length += WriteField(destination[length..], TypeUnique, tls.Unique);
        return length;
    }

    private static int WriteField(Span<byte> destination, byte type, string text)
    {
        int length = Encoding.ASCII.GetBytes(text, destination[3..]);
        WriteTypeAndLength(destination, type, length);
        return 3 + length;
    }

    private static int WriteField(Span<byte> destination, byte type, ReadOnlySpan<byte> value)
    {
        value.CopyTo(destination[3..]);
        WriteTypeAndLength(destination, type, value.Length);
        return 3 + value.Length;
    }

    private static void WriteTypeAndLength(Span<byte> destination, byte type, int length)
    {
        destination[0] = type;
        BinaryPrimitives.WriteUInt16BigEndian(destination[1..], (ushort)length);
    }
}
