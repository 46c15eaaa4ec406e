using System.Globalization;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd.Support;

/// <summary>The memory of a process, as its core dump would have it or as it is.</summary>
internal static class ProcessMemory
{
    private const int PieceBytes = 1 << 20;

    /// <summary>How often bytes occur in it.</summary>
    /// <param name="process">Its id.</param>
    /// <param name="wanted">What is looked for; one of these.</param>
    /// <param name="dumpedOnly">Whether only what a core dump would have counts: all but what was left out with MADV_DONTDUMP.</param>
    public static int Occurrences(int process, IReadOnlyCollection<byte[]> wanted, bool dumpedOnly)
    {
        using FileStream memory = new($"/proc/{process}/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        int longest = wanted.Max(bytes => bytes.Length), found = 0;
        byte[] piece = new byte[PieceBytes + longest];
        foreach ((long from, long to) in Regions(process, dumpedOnly))
        {
            for (long at = from; at < to; at += PieceBytes)
            {
                // Each piece reaches into the next one, so that nothing is missed that lies across.
                int count = RandomAccess.Read(memory.SafeFileHandle, piece.AsSpan(0, (int)Math.Min(piece.Length, to - at)), at);
                foreach (byte[] bytes in wanted)
                {
                    for (int start = 0, next; (next = piece.AsSpan(start, count - start).IndexOf(bytes)) >= 0; start += next + 1)
                    {
                        if (start + next < PieceBytes) found++;
                    }
                }
            }
        }

        return found;
    }

    /// <summary>The parts of its address space that can be read and that have been touched.</summary>
    private static IEnumerable<(long From, long To)> Regions(int process, bool dumpedOnly)
    {
        (long From, long To) region = default;
        bool isRead = false, isTouched = false;
        foreach (string line in File.ReadLines($"/proc/{process}/smaps"))
        {
            if (Regex.Match(line, "^([0-9a-f]+)-([0-9a-f]+) (.)") is { Success: true } range)
            {
                region = (long.Parse(range.Groups[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                    long.Parse(range.Groups[2].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
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
