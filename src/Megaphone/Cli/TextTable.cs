using System.Text;

namespace Megaphone.Cli;

/// <summary>Lines whose columns stand below each other.</summary>
/// <param name="heads">The heads of the columns; those that begin with <see cref="Right"/> end below each other.</param>
internal sealed class TextTable(params string[] heads)
{
    /// <summary>In front of the head of a column of figures.</summary>
    public const char Right = '>';

    private const string Gap = "  ";

    private readonly List<string[]> _rows = [[.. heads.Select(head => head.TrimStart(Right))]];

    /// <summary>Adds a line, with a cell for each column.</summary>
    public void Add(params string[] cells) => _rows.Add(cells);

    /// <summary>Writes all of it, if it has a line beside the heads.</summary>
    /// <param name="text">Where to.</param>
    /// <param name="indent">What stands before each line.</param>
    public void Write(StringBuilder text, string indent = "")
    {
        if (_rows.Count == 1) return;
        int[] widths = [.. heads.Select((_, column) => _rows.Max(row => row[column].Length))];
        foreach (string[] row in _rows)
        {
            IEnumerable<string> cells = row.Select((cell, column) =>
                heads[column].StartsWith(Right) ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]));
            text.Append((indent + string.Join(Gap, cells)).TrimEnd()).Append('\n');
        }
    }
}
