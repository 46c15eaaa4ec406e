using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Megaphone.Ecm;
using Megaphone.Interop;

namespace Megaphone.Fuzz;

/// <summary>
/// PROXY headers as they are received: the verdict is the same however they were cut, no byte behind a header is part of it, and an independent
/// reading finds the same client. A header that names a client reads the same when it is written anew.
/// </summary>
internal static partial class ReceivedProxyHeaderTarget
{
    private const int LongestText = 107;

    public static void Run(byte[] input)
    {
        byte[] bytes = input.Length > ReceivedProxyHeader.MaxBytes ? input[..ReceivedProxyHeader.MaxBytes] : input;
        ReceivedProxyHeader all = ReceivedProxyHeader.Read(bytes);
        int decided = bytes.Length + 1;
        for (int there = 0; there <= bytes.Length; there++)
        {
            ReceivedProxyHeader part = ReceivedProxyHeader.Read(bytes.AsSpan(0, there));
            if (part.State == ReceivedProxyHeader.Progress.Incomplete)
            {
                Property.Holds(part.Bytes > there, "more is wanted than there is");
                Property.Holds(decided > there, "what was decided stays so");
                continue;
            }

            decided = Math.Min(decided, there);
            bool isSame = part.State == all.State && part.Bytes == all.Bytes && Equals(part.Client, all.Client);
            Property.Holds(isSame, "the verdict does not depend on the cut");
        }

        if (all.State != ReceivedProxyHeader.Progress.Whole) return;
        Property.Holds(all.Bytes <= bytes.Length && decided == all.Bytes, "a header ends where it says, and is known as soon as it is there");
        IPEndPoint? client = bytes[0] == 'P' ? OfText(bytes[..all.Bytes]) : OfBinary(bytes[..all.Bytes]);
        Property.Holds(Equals(client, all.Client), "another reader finds the same client");
        if (client is not null) CheckWritten(client);
    }

    private static void CheckWritten(IPEndPoint client)
    {
        NativeAddress native = new(client);
        byte[] room = new byte[ProxyHeader.MaxBytes];
        foreach (ProxyMode mode in new[] { ProxyMode.V1, ProxyMode.V2 })
        {
            int length = ProxyHeader.Write(room, mode, native, native, tls: null);
            ReceivedProxyHeader again = ReceivedProxyHeader.Read(room.AsSpan(0, length));
            Property.Holds(again.Bytes == length && Equals(again.Client, native.ToEndPoint()), "what is written anew names the same client");
        }
    }

    private static IPEndPoint? OfText(byte[] header)
    {
        string text = Encoding.Latin1.GetString(header);
        Property.Holds(header.Length <= LongestText && text.EndsWith("\r\n", StringComparison.Ordinal), "version 1 is a line");
        if (text.StartsWith("PROXY UNKNOWN", StringComparison.Ordinal)) return null;
        Match match = Line().Match(text);
        Property.Holds(match.Success, $"version 1 is the line that the specification has: {text}");
        return new IPEndPoint(
            IPAddress.Parse(match.Groups["from"].Value), ushort.Parse(match.Groups["port"].Value, NumberStyles.None, CultureInfo.InvariantCulture));
    }

    private static IPEndPoint? OfBinary(byte[] header)
    {
        Property.Holds(header[12] is 0x20 or 0x21, "version 2 has a command");
        Property.Holds(header.Length == 16 + BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(14)), "version 2 has the length that it says");
        if (header[12] == 0x20 || header[13] is 0x00 or 0x31) return null;
        Property.Holds(header[13] is 0x11 or 0x21, "version 2 has a family and the transport of TCP");
        int size = header[13] == 0x11 ? 4 : 16;
        return new IPEndPoint(new IPAddress(header[16..(16 + size)]), BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(16 + (2 * size))));
    }

    [GeneratedRegex(
        @"\APROXY (?:TCP4 (?<from>(?:(?:0|[1-9][0-9]{0,2})\.?){4}) [0-9.]+|TCP6 (?<from>[0-9a-fA-F:]+) [0-9a-fA-F:]+)"
        + @" (?<port>0|[1-9][0-9]*) (?:0|[1-9][0-9]*)\r\n\z")]
    private static partial Regex Line();
}
