using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using Megaphone.Configuration;

namespace Megaphone.Preflight;

/// <summary>The TCP sockets that listen on this machine, as proc_net(5) lists them.</summary>
/// <remarks><code>
///   sl  local_address rem_address   st …
///    0: 0100007F:1466 00000000:0000 0A …
/// </code></remarks>
internal static class ListeningSockets
{
    private const string Listening = "0A";
    private static readonly string[] Files = ["/proc/net/tcp", "/proc/net/tcp6"];

    /// <summary>Whether one of them listens on an overlapping address; null: the kernel does not tell.</summary>
    public static bool? Overlap(IPEndPoint address)
    {
        try
        {
            return Files.Where(File.Exists).SelectMany(File.ReadLines).Any(line => Parse(line) is { } there && ListenAddress.Overlap(there, address));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The address on which the socket of a line listens; null when it does not listen.</summary>
    internal static IPEndPoint? Parse(string line)
    {
        string[] fields = line.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length < 5 || fields[3] != Listening) return null;

        string[] local = fields[1].Split(':');
        return new IPEndPoint(ParseAddress(local[0]), int.Parse(local[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
    }

    /// <summary>32-bit words in host byte order, each with four bytes of the address in network byte order.</summary>
    private static IPAddress ParseAddress(string hex)
    {
        byte[] bytes = Convert.FromHexString(hex);
        for (int i = 0; i < bytes.Length; i += sizeof(uint))
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(i), BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(i)));
        return new IPAddress(bytes);
    }
}
