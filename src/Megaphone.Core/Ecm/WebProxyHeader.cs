using System.Buffers.Binary;
using System.Net;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Ecm;

/// <summary>
/// The PROXY header of a connection for the web. It is written when the connection is accepted, because its TLS is known only then, and is
/// what a relay begins with; for a WebSocket it is written anew when its request says who the client really is.
/// </summary>
internal static class WebProxyHeader
{
    private const int LengthOffset = 14;
    private const int AddressesStart = ProxyHeader.V2AddressOffset;
    private const byte TypeTransport = 0xE0;
    private const byte WebSocket = 1;
    private const byte TcpOver4 = 0x11;
    private const byte TcpOver6 = 0x21;

    /// <summary>What there is room for behind the longer addresses and the transport.</summary>
    private const int MaxFields = ProxyHeader.MaxBytes - AddressesStart - (2 * (16 + 2)) - 4;

    /// <summary>The TLS field of a client that speaks TLS with a proxy: nothing else is known of it.</summary>
    private static ReadOnlySpan<byte> TlsWithProxy => [ProxyHeader.TypeTls, 0, 5, 0x01, 0, 0, 0, 1];

    /// <summary>Writes the header of a connection that was accepted: version 2, without channel bindings, which are for XMPP over TCP.</summary>
    /// <inheritdoc cref="ProxyHeader.Write"/>
    public static int Write(Span<byte> destination, in NativeAddress client, in NativeAddress listener, TlsFacts? tls) =>
        ProxyHeader.Write(destination, ProxyMode.V2, client, listener, tls?.WithoutBindings);

    /// <summary>Whether bytes begin with what <see cref="Write"/> may have written.</summary>
    public static bool IsAtFront(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= AddressesStart && bytes[13] is TcpOver4 or TcpOver6 or ProxyHeader.Unspecified && LengthOf(bytes) <= bytes.Length
        && LengthOf(bytes) - FieldsStart(bytes) is >= 0 and <= MaxFields;

    /// <summary>The length of a header that is at the front.</summary>
    public static int LengthOf(ReadOnlySpan<byte> header) => AddressesStart + BinaryPrimitives.ReadUInt16BigEndian(header[LengthOffset..]);

    /// <summary>The address of who has connected; null: it was over a Unix socket.</summary>
    public static IPAddress? ClientOf(ReadOnlySpan<byte> header) =>
        AddressOf(header, isListener: false) is { IsUnix: false } address ? address.ToEndPoint().Address : null;

    /// <summary>Writes the header of a WebSocket session.</summary>
    /// <param name="destination">At least <see cref="ProxyHeader.MaxBytes"/>.</param>
    /// <param name="mode"><see cref="ProxyMode.V1"/> or <see cref="ProxyMode.V2"/>.</param>
    /// <param name="accepted">What <see cref="Write"/> has written.</param>
    /// <param name="client">Who the client is; null: nobody says.</param>
    /// <param name="speaksTls">What a proxy says about whether it speaks TLS; null: it is as it is here.</param>
    /// <param name="most">If it is longer, it does without the names that the client asked for.</param>
    /// <returns>The number of bytes written.</returns>
    public static int WriteWebSocket(
        Span<byte> destination, ProxyMode mode, ReadOnlySpan<byte> accepted, IPAddress? client, bool? speaksTls, int most = ProxyHeader.MaxBytes)
    {
        NativeAddress peer = AddressOf(accepted, isListener: false), listener = AddressOf(accepted, isListener: true);

        // Of one that a proxy names the port is not known.
        if (client is not null && !client.Equals(ClientOf(accepted))) peer = new NativeAddress(new IPEndPoint(client, 0));
        int length = ProxyHeader.Write(destination, mode, peer, listener, tls: null);
        if (mode == ProxyMode.V1) return length;
        destination[length++] = TypeTransport;
        BinaryPrimitives.WriteUInt16BigEndian(destination[length..], 1);
        destination[length + 2] = WebSocket;
        length += 3;

        // The fields are about the connection to this end. Where a proxy has that, they are right only if nobody says otherwise.
        ReadOnlySpan<byte> fields = speaksTls is null ? accepted[FieldsStart(accepted)..] : speaksTls.Value ? TlsWithProxy : default;
        while (length + fields.Length > most && fields.Length > 3 && fields[0] is ProxyHeader.TypeAlpn or ProxyHeader.TypeAuthority)
            fields = fields[(3 + BinaryPrimitives.ReadUInt16BigEndian(fields[1..]))..];
        fields.CopyTo(destination[length..]);
        length += fields.Length;
        BinaryPrimitives.WriteUInt16BigEndian(destination[LengthOffset..], (ushort)(length - AddressesStart));
        return length;
    }

    private static int AddressLength(ReadOnlySpan<byte> header) => header[13] == TcpOver4 ? 4 : 16;

    private static int FieldsStart(ReadOnlySpan<byte> header) =>
        AddressesStart + (header[13] == ProxyHeader.Unspecified ? 0 : (2 * AddressLength(header)) + 4);

    private static NativeAddress AddressOf(ReadOnlySpan<byte> header, bool isListener)
    {
        if (header[13] == ProxyHeader.Unspecified) return NativeAddress.Unix;
        int length = AddressLength(header), second = isListener ? 1 : 0;
        ReadOnlySpan<byte> address = header.Slice(AddressesStart + (second * length), length);
        int port = BinaryPrimitives.ReadUInt16BigEndian(header[(AddressesStart + (2 * length) + (2 * second))..]);
        return new NativeAddress(new IPEndPoint(new IPAddress(address), port));
    }
}
