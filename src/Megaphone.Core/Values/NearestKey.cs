namespace Megaphone.Values;

/// <summary>Finds the key that a misspelled one was probably meant to be.</summary>
internal static class NearestKey
{
    /// <summary>
    /// The key with the smallest edit distance (Levenshtein), ignoring case; the first of several. Null when
    /// more than half of the letters differ: then it is not a misspelling.
    /// </summary>
    public static string? To(string written, IEnumerable<string> keys)
    {
        string text = written.ToUpperInvariant();
        string nearest = keys.MinBy(key => Distance(text, key.ToUpperInvariant()))!;
        return Distance(text, nearest.ToUpperInvariant()) * 2 <= text.Length ? nearest : null;
    }

    private static int Distance(string from, string to)
    {
        int[] above = Enumerable.Range(0, to.Length + 1).ToArray();
        int[] row = new int[to.Length + 1];
        for (int i = 1; i <= from.Length; i++)
        {
            row[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                int replace = above[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
                row[j] = Math.Min(replace, Math.Min(above[j], row[j - 1]) + 1);
            }

            (above, row) = (row, above);
        }

        return above[to.Length];
    }
}
