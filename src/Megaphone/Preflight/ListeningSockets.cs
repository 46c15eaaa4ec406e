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

    /// <summary>The place of the socket's number in a line.</summary>
    private const int Inode = 9;

    /// <summary>What a process of the service is called.</summary>
    private const string Service = "megaphone";
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

    /// <summary>The process of a Megaphone that listens on an overlapping address; null: none does, as far as this user may know.</summary>
    public static int? ServiceAt(IPEndPoint address)
    {
        try
        {
            HashSet<string> sockets =
            [
                .. Files.Where(File.Exists).SelectMany(File.ReadLines)
                    .Where(line => Parse(line) is { } there && ListenAddress.Overlap(there, address))
                    .Select(line => $"socket:[{line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[Inode]}]"),
            ];
            foreach (string process in Directory.EnumerateDirectories("/proc"))
            {
                if (int.TryParse(Path.GetFileName(process), out int id) && Has(process, sockets)) return id;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // What cannot be known is not said.
        }

        return null;
    }

    /// <summary>The address on which the socket of a line listens; null when it does not listen.</summary>
    internal static IPEndPoint? Parse(string line)
    {
        string[] fields = line.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length < 5 || fields[3] != Listening) return null;

        string[] local = fields[1].Split(':');
        return new IPEndPoint(ParseAddress(local[0]), int.Parse(local[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
    }

    /// <summary>Whether a process is a Megaphone.</summary>
    public static bool IsService(int process)
    {
        try
        {
            return process > 0 && IsService($"/proc/{process}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static bool IsService(string process) => File.ReadAllText($"{process}/comm").TrimEnd('\n') == Service;

    private static bool Has(string process, HashSet<string> sockets)
    {
        try
        {
            return IsService(process)
                && Directory.EnumerateFiles($"{process}/fd").Any(descriptor => sockets.Contains(new FileInfo(descriptor).LinkTarget ?? ""));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It has ended, or is another user's.
            return false;
        }
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
