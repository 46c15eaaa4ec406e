using System.Globalization;
using System.Security;
using System.Text;

namespace Megaphone.Bench;

/// <summary>An SVG document of diagrams side by side. Readable on light and on dark backgrounds; it has none of its own.</summary>
internal static class Picture
{
    /// <summary>The size of one diagram.</summary>
    public const int Width = 360, Height = 250;

    /// <summary>Where a diagram begins below its title and its legend.</summary>
    public const int Top = 54;

    private const int HeadHeight = 22, LegendHeight = 36, LegendGap = 12, LetterWidth = 6;

    /// <summary>One set of colours for both backgrounds: not every viewer tells a picture which one it is on.</summary>
    private const string Style = """
        <style>
        text { font: 11px sans-serif; fill: #768390 }
        .title { font-size: 13px; font-weight: bold }
        .grid { stroke: #768390; stroke-opacity: 0.35 }
        </style>
        """;

    private static readonly string[] Colours = ["#2f81f7", "#db6d28", "#3fb950", "#a371f7", "#e5534b"];

    /// <summary>Draws the diagrams.</summary>
    /// <param name="diagrams">From left to right.</param>
    /// <param name="title">What stands above all of them; null: nothing.</param>
    public static string Draw(IReadOnlyList<IDiagram> diagrams, string? title = null)
    {
        StringBuilder svg = new();
        int width = Math.Max(1, diagrams.Count) * Width;
        int head = title is null ? 0 : HeadHeight, height = head + Height;
        Append(svg, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 {-head} {width} {height}\" width=\"{width}\" height=\"{height}\">");
        if (title is not null) Append(svg, $"<title>{SecurityElement.Escape(title)}</title>");
        svg.AppendLine(Style);
        if (title is not null) Append(svg, $"<text x=\"8\" y=\"{-LegendGap / 2}\">{SecurityElement.Escape(title)}</text>");
        for (int i = 0; i < diagrams.Count; i++) diagrams[i].Draw(svg, i * Width);
        return svg.AppendLine("</svg>").ToString();
    }

    /// <summary>The colour of one of a diagram's curves or parts.</summary>
    public static string ColourOf(int number) => Colours[number % Colours.Length];

    /// <summary>Writes what stands above a diagram: its title, and the names of what it shows in their colours.</summary>
    public static void AppendHead(StringBuilder svg, int offset, int legend, string title, IEnumerable<string> names)
    {
        Append(svg, $"<text class=\"title\" x=\"{offset + 8}\" y=\"16\">{SecurityElement.Escape(title)}</text>");
        int at = offset + legend, number = 0;
        foreach (string name in names)
        {
            Append(svg, $"<text x=\"{at}\" y=\"{LegendHeight}\" style=\"fill: {ColourOf(number++)}\">{SecurityElement.Escape(name)}</text>");
            at += LegendGap + LetterWidth * name.Length;
        }
    }

    /// <summary>Adds a line to the document, with numbers as SVG writes them.</summary>
    public static void Append(StringBuilder svg, FormattableString line) => svg.AppendLine(line.ToString(CultureInfo.InvariantCulture));

    /// <summary>A number, short enough for a label.</summary>
    public static string Short(double value) =>
        value.ToString(value >= 100 ? "N0" : value >= 1 ? "0.#" : "0.###", CultureInfo.InvariantCulture);
}
