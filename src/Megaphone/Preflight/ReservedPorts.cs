using System.Globalization;

namespace Megaphone.Preflight;

/// <summary>The ports that the kernel gives no outgoing connection: net.ipv4.ip_local_reserved_ports.</summary>
/// <param name="Text">As the kernel writes them: <c>5222,6280-6281</c>.</param>
internal sealed record ReservedPorts(string Text)
{
    private const string File = "/proc/sys/net/ipv4/ip_local_reserved_ports";

    private readonly IReadOnlyList<(int First, int Last)> _ranges =
        [.. Text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(Range)];

    /// <summary>Reads them; none where the kernel does not tell.</summary>
    public static ReservedPorts Read()
    {
        try
        {
            return new ReservedPorts(System.IO.File.ReadAllText(File).Trim());
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new ReservedPorts("");
        }
    }

    /// <summary>Whether a port is among them.</summary>
    public bool Contains(int port) => _ranges.Any(range => range.First <= port && port <= range.Last);

    /// <summary>How many of them are in a range.</summary>
    public int CountWithin(int first, int last) =>
        _ranges.Sum(range => Math.Max(0, Math.Min(range.Last, last) - Math.Max(range.First, first) + 1));

    /// <summary>The same, and these ports.</summary>
    public ReservedPorts With(IEnumerable<int> ports)
    {
        string more = string.Join(',', ports.Where(port => !Contains(port)).Distinct().Order());
        return new ReservedPorts(Text.Length == 0 || more.Length == 0 ? Text + more : $"{Text},{more}");
    }

    /// <summary>What sysctl(8) is given to set them.</summary>
    public override string ToString() => $"net.ipv4.ip_local_reserved_ports={Text}";

    private static (int First, int Last) Range(string text)
    {
        string[] ends = text.Split('-');
        int first = int.Parse(ends[0], CultureInfo.InvariantCulture);
        return (first, ends.Length == 1 ? first : int.Parse(ends[1], CultureInfo.InvariantCulture));
    }
}
