using System.Net;
using System.Text;
using Megaphone.Ecm;
using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Fuzz;

/// <summary>
/// PROXY headers as they are written, whoever the client is and whatever its TLS says of it: an independent reader, made from HAProxy's
/// proxy-protocol.txt, finds the same addresses and facts in them, and they fit into their room.
/// </summary>
/// <remarks>
/// An input is: <c>6</c> or anything else for IPv4; two addresses of 16 or 4 bytes; two ports; and, if anything is left, lines of text:
/// version of TLS, cipher, server name, protocol. What is missing is zero.
/// </remarks>
internal static class ProxyHeaderTarget
{
    private const int LongestVersion = 16;
    private const int LongestCipher = 64;
    private const int LongestName = 300;

    public static void Run(byte[] input)
    {
        int size = input is [(byte)'6', ..] ? 16 : 4;
        int fixedBytes = 1 + (2 * size) + 4;
        byte[] bytes = new byte[Math.Max(fixedBytes, input.Length)];
        input.CopyTo(bytes, 0);
        IPEndPoint client = new(new IPAddress(bytes.AsSpan(1, size)), bytes[fixedBytes - 4] << 8 | bytes[fixedBytes - 3]);
        IPEndPoint listener = new(new IPAddress(bytes.AsSpan(1 + size, size)), bytes[fixedBytes - 2] << 8 | bytes[fixedBytes - 1]);

        // A connection has two addresses of one family.
        if (client.Address.IsIPv4MappedToIPv6 != listener.Address.IsIPv4MappedToIPv6) return;
        TlsFacts? tls = input.Length > fixedBytes ? Facts(bytes[fixedBytes..]) : null;

        ProxyReader text = ProxyReader.OfText(Write(ProxyMode.V1, client, listener, tls));
        Property.Holds(text.Client.Equals(Plain(client)) && text.Listener.Equals(Plain(listener)), "version 1 names client and listener");

        ProxyReader binary = ProxyReader.OfBinary(Write(ProxyMode.V2, client, listener, tls));
        Property.Holds(binary.Client.Equals(Plain(client)) && binary.Listener.Equals(Plain(listener)), "version 2 names client and listener");
        string? cipher = tls?.Cipher is { Length: > 0 } ? Ascii(tls.Cipher) : null;
        Property.Holds(binary.Version == Ascii(tls?.Version) && binary.Cipher == cipher, "version 2 tells of TLS what it is");
        Property.Holds(binary.Protocol == Ascii(tls?.Protocol), "version 2 tells the protocol");
        string? name = tls?.ServerName is { Length: <= 255 } ? Ascii(tls.ServerName) : null;
        Property.Holds(binary.ServerName == name, "version 2 tells the name that was asked for");
    }

    private static byte[] Write(ProxyMode mode, IPEndPoint client, IPEndPoint listener, TlsFacts? tls)
    {
        byte[] room = new byte[ProxyHeader.MaxBytes];
        return room[..ProxyHeader.Write(room, mode, new NativeAddress(client), new NativeAddress(listener), tls)];
    }

    private static TlsFacts Facts(byte[] text)
    {
        string[] lines = Encoding.UTF8.GetString(text).Split('\n');
        string? Line(int number, int longest) =>
            number >= lines.Length || lines[number].Length == 0 ? null : lines[number][..Math.Min(longest, lines[number].Length)];
        string? protocol = Line(3, 1) is null ? null : "xmpp-client";
        return new TlsFacts(Line(0, LongestVersion) ?? "", Line(1, LongestCipher) ?? "", Line(2, LongestName), protocol, Resumed: false);
    }

    private static string? Ascii(string? text) => text is null ? null : Encoding.ASCII.GetString(Encoding.ASCII.GetBytes(text));

    private static IPEndPoint Plain(IPEndPoint endPoint) =>
        endPoint.Address.IsIPv4MappedToIPv6 ? new IPEndPoint(endPoint.Address.MapToIPv4(), endPoint.Port) : endPoint;
}
