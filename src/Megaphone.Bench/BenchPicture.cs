using System.Globalization;
using System.Text;

namespace Megaphone.Bench;

/// <summary>One diagram of curves, as SVG. Axes begin at zero, or at the smallest value where they are logarithmic.</summary>
/// <param name="title">Above it.</param>
/// <param name="horizontal">What the horizontal axis is.</param>
/// <param name="vertical">What the vertical axis is.</param>
/// <param name="logarithmic">Whether the vertical axis is logarithmic.</param>
internal sealed class BenchPicture(string title, string horizontal, string vertical, bool logarithmic)
{
    /// <summary>Width of a diagram.</summary>
    public const int Width = 720;

    /// <summary>Height of a diagram.</summary>
    public const int Height = 400;

    private const int Left = 90;
    private const int Right = 30;
    private const int Top = 50;
    private const int Bottom = 60;

    private static readonly string[] Colours = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df"];

    private readonly List<(string Name, (double X, double Y)[] Points)> _curves = [];
    private readonly List<(double X, string Label)> _ticks = [];

    /// <summary>Whether there is anything to show.</summary>
    public bool IsEmpty => _curves.Count == 0;

    /// <summary>Adds a curve; one of fewer than two points is left out.</summary>
    public void Add(string name, IEnumerable<(double X, double Y)> points)
    {
        (double X, double Y)[] curve = [.. points];
        if (curve.Length > 1) _curves.Add((name, curve));
    }

    /// <summary>Names a place of the horizontal axis; without any its ends and its middle are named by their values.</summary>
    public void AddTick(double x, string label) => _ticks.Add((x, label));

    /// <summary>Writes it.</summary>
    /// <param name="svg">An SVG document that is being written.</param>
    /// <param name="offset">Where it begins, from above.</param>
    public void Write(StringBuilder svg, int offset)
    {
        double right = Math.Max(_curves.Max(curve => curve.Points.Max(point => point.X)), double.Epsilon);
        double high = Math.Max(_curves.Max(curve => curve.Points.Max(point => point.Y)), 1e-9);
        double low = logarithmic ? Math.Max(_curves.Min(curve => curve.Points.Min(point => point.Y)), high / 1e6) : 0;
        double X(double x) => Left + x / right * (Width - Left - Right);
        double Y(double y) => offset + Height - Bottom - Part(y) * (Height - Top - Bottom);
        double Part(double y) => !logarithmic ? y / high : low < high ? Math.Log(Math.Max(y, low) / low) / Math.Log(high / low) : 1;

        Append(svg, $"<text x='{Left}' y='{offset + 24}' font-size='16'>{title}</text>");
        for (int i = 0; i <= 4; i++)
        {
            double y = logarithmic ? low * Math.Pow(high / low, i / 4.0) : high * i / 4;
            Append(svg, $"<line x1='{Left}' x2='{Width - Right}' y1='{Y(y):0.#}' y2='{Y(y):0.#}' stroke='#d0d7de'/>");
            Append(svg, $"<text x='{Left - 8}' y='{Y(y) + 4:0.#}' text-anchor='end'>{Short(y)}</text>");
        }

        (double X, string Label)[] ticks = _ticks.Count > 0
            ? [.. _ticks]
            : [(0, "0"), (right / 2, Short(right / 2)), (right, Short(right))];
        foreach ((double x, string label) in ticks)
            Append(svg, $"<text x='{X(x):0.#}' y='{offset + Height - Bottom + 20}' text-anchor='middle'>{label}</text>");
        Append(svg, $"<text x='{Width - Right}' y='{offset + Height - 18}' text-anchor='end'>{horizontal}</text>");
        Append(svg, $"<text x='{Left}' y='{offset + 42}'>{vertical}</text>");

        for (int i = 0; i < _curves.Count; i++)
        {
            string colour = Colours[i % Colours.Length];
            string line = string.Join(
                ' ', _curves[i].Points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.X):0.#},{Y(point.Y):0.#}")));
            Append(svg, $"<polyline fill='none' stroke='{colour}' stroke-width='2' points='{line}'/>");
            Append(svg, $"<text x='{Left + 110 * i}' y='{offset + Height - 18}' fill='{colour}'>{_curves[i].Name}</text>");
        }
    }

    /// <summary>Puts diagrams below each other.</summary>
    public static string Document(IReadOnlyList<BenchPicture> pictures)
    {
        StringBuilder svg = new();
        int height = Math.Max(1, pictures.Count) * Height;
        Append(svg, $"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {Width} {height}' font-family='sans-serif' font-size='12'>");
        Append(svg, $"<rect width='{Width}' height='{height}' fill='white'/>");
        for (int i = 0; i < pictures.Count; i++) pictures[i].Write(svg, i * Height);
        return svg.AppendLine("</svg>").ToString();
    }

    private static void Append(StringBuilder svg, FormattableString line) => svg.AppendLine(line.ToString(CultureInfo.InvariantCulture));

    private static string Short(double value) =>
        value.ToString(value >= 100 ? "N0" : value >= 1 ? "0.#" : "0.###", CultureInfo.InvariantCulture);
}
