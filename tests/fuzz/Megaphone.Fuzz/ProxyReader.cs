using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Megaphone.Fuzz;

/// <summary>Reads a PROXY header as strictly as HAProxy's proxy-protocol.txt allows: sections 2.1, 2.2 and 2.2.1 to 2.2.6.</summary>
internal sealed partial record ProxyReader(IPEndPoint Client, IPEndPoint Listener)
{
    private const int LongestText = 107;

    public string? Protocol { get; private set; }

    public string? ServerName { get; private set; }

    public string? Version { get; private set; }

    public string? Cipher { get; private set; }

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    public static ProxyReader OfText(byte[] header)
    {
        string text = Encoding.Latin1.GetString(header);
        Match match = Line().Match(text);
        Property.Holds(match.Success && header.Length <= LongestText, $"version 1 is the line that the specification has: {text}");
        IPAddress client = IPAddress.Parse(match.Groups["from"].Value);
        IPAddress listener = IPAddress.Parse(match.Groups["to"].Value);
        return new ProxyReader(new IPEndPoint(client, Port(match.Groups["source"])), new IPEndPoint(listener, Port(match.Groups["target"])));
    }

    public static ProxyReader OfBinary(byte[] header)
    {
        Property.Holds(header.AsSpan().StartsWith(Signature), "version 2 has its signature");
        Property.Holds(header[12] == 0x21 && header[13] is 0x11 or 0x21, "version 2 has a command and a family");
        Property.Holds(header.Length == 16 + BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(14)), "version 2 has the length that it says");
        int size = header[13] == 0x11 ? 4 : 16;
        ReadOnlySpan<byte> rest = header.AsSpan(16);
        IPAddress client = new(rest[..size]);
        IPAddress listener = new(rest[size..(2 * size)]);
        rest = rest[(2 * size)..];
        ProxyReader read = new(
            new IPEndPoint(client, BinaryPrimitives.ReadUInt16BigEndian(rest)),
            new IPEndPoint(listener, BinaryPrimitives.ReadUInt16BigEndian(rest[2..])));
        read.ReadFields(rest[4..]);
        return read;
    }

    private static int Port(Group port) => ushort.Parse(port.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    private void ReadFields(ReadOnlySpan<byte> fields)
    {
        while (!fields.IsEmpty)
        {
            int length = BinaryPrimitives.ReadUInt16BigEndian(fields[1..]);
            ReadOnlySpan<byte> value = fields.Slice(3, length);
            string text = Encoding.Latin1.GetString(value);
            switch (fields[0])
            {
                case 0x01:
                    Protocol = text;
                    break;
                case 0x02:
                    ServerName = text;
                    break;
                case 0x20:
                    Property.Holds(value[0] == 1 && value[1..5].ContainsAnyExcept((byte)0), "the client speaks TLS and showed no certificate");
                    ReadFields(value[5..]);
                    break;
                case 0x21:
                    Version = text;
                    break;
                case 0x23:
                    Cipher = text;
                    break;
                default:
                    Property.Holds(false, $"version 2 has fields that the specification knows: {fields[0]}");
                    break;
            }

            fields = fields[(3 + length)..];
        }
    }

    [GeneratedRegex(
        @"\APROXY (?:TCP4 (?<from>[0-9.]+) (?<to>[0-9.]+)|TCP6 (?<from>[0-9a-fA-F:]+) (?<to>[0-9a-fA-F:]+))"
        + @" (?<source>0|[1-9][0-9]*) (?<target>0|[1-9][0-9]*)\r\n\z")]
    private static partial Regex Line();
}
