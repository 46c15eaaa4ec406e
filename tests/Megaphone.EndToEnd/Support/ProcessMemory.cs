using System.Globalization;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd.Support;

/// <summary>The memory of a process, as its core dump would have it or as it is.</summary>
internal static class ProcessMemory
{
    private const int PieceBytes = 1 << 20;

    /// <summary>Where bytes are in it.</summary>
    /// <param name="process">Its id.</param>
    /// <param name="wanted">What is looked for; one of these.</param>
    /// <param name="dumpedOnly">Whether only what a core dump would have counts: all but what was left out with MADV_DONTDUMP.</param>
    /// <returns>A line for each time that they are there: which of them, and where.</returns>
    public static IReadOnlyList<string> Find(int process, IReadOnlyList<byte[]> wanted, bool dumpedOnly)
    {
        using FileStream memory = new($"/proc/{process}/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        int longest = wanted.Max(bytes => bytes.Length);
        List<string> found = [];
        byte[] piece = new byte[PieceBytes + longest];
        foreach ((long from, long to, string name) in Regions(process, dumpedOnly))
        {
            for (long at = from; at < to; at += PieceBytes)
            {
                // Each piece reaches into the next one, so that nothing is missed that lies across.
                int count = RandomAccess.Read(memory.SafeFileHandle, piece.AsSpan(0, (int)Math.Min(piece.Length, to - at)), at);
                for (int i = 0; i < wanted.Count; i++)
                {
                    for (int start = 0, next; (next = piece.AsSpan(start, count - start).IndexOf(wanted[i])) >= 0; start += next + 1)
                    {
                        if (start + next < PieceBytes) found.Add($"number {i} at {at + start + next:x}, which is in {name}");
                    }
                }
            }
        }

        return found;
    }

    /// <summary>The parts of its address space that can be read and that have been touched.</summary>
    private static IEnumerable<(long From, long To, string Name)> Regions(int process, bool dumpedOnly)
    {
        (long From, long To, string Name) region = default;
        bool isRead = false, isTouched = false;
        foreach (string line in File.ReadLines($"/proc/{process}/smaps"))
        {
            if (Regex.Match(line, "^([0-9a-f]+)-([0-9a-f]+) (.)") is { Success: true } range)
            {
                region = (long.Parse(range.Groups[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                    long.Parse(range.Groups[2].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture), line);
                isRead = range.Groups[3].Value == "r" && !line.Contains("[v", StringComparison.Ordinal);
            }
            else if (line.StartsWith("Rss:", StringComparison.Ordinal))
            {
                isTouched = !line.EndsWith(" 0 kB", StringComparison.Ordinal);
            }
            else if (line.StartsWith("VmFlags:", StringComparison.Ordinal) && isRead && isTouched
                && !(dumpedOnly && line.Split(' ').Contains("dd")))
            {
                yield return region;
            }
        }
    }
}
