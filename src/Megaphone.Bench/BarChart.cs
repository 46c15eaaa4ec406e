using System.Security;
using System.Text;

namespace Megaphone.Bench;

/// <summary>A diagram of bars that are made of parts: the sum of each, and what it consists of.</summary>
/// <param name="title">What stands above it.</param>
internal sealed class BarChart(string title) : IDiagram
{
    private const int Left = 8, Right = 52, Bottom = 8, LabelHeight = 16, MaxThickness = 28;

    private readonly List<Bar> _bars = [];

    /// <inheritdoc/>
    public bool IsEmpty => _bars.Count == 0;

    /// <summary>Adds a bar below those that are there.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="parts">Its parts, from left to right; those of the same name have the same colour in each bar.</param>
    public void Add(string name, IEnumerable<Part> parts) => _bars.Add(new Bar(name, [.. parts]));

    /// <inheritdoc/>
    public void Draw(StringBuilder svg, int offset)
    {
        List<string> names = [.. _bars.SelectMany(bar => bar.Parts).Select(part => part.Name).Distinct()];
        Picture.AppendHead(svg, offset, Left, title, names);
        double most = Math.Max(_bars.Max(bar => bar.Sum), 1e-9);
        double room = (Picture.Height - Picture.Top - Bottom) / (double)_bars.Count;
        double thickness = Math.Min(MaxThickness, room - LabelHeight - 4);
        for (int i = 0; i < _bars.Count; i++)
        {
            double top = Picture.Top + i * room, x = offset + Left, y = top + LabelHeight;
            Picture.Append(svg, $"<text x=\"{x}\" y=\"{y - 5:0.0}\">{SecurityElement.Escape(_bars[i].Name)}</text>");
            foreach (Part part in _bars[i].Parts)
            {
                double width = part.Value / most * (Picture.Width - Left - Right);
                string colour = Picture.ColourOf(names.IndexOf(part.Name));
                Picture.Append(svg, $"<rect x=\"{x:0.0}\" y=\"{y:0.0}\" width=\"{width:0.0}\" height=\"{thickness:0.0}\" fill=\"{colour}\"/>");
                x += width;
            }

            Picture.Append(svg, $"<text x=\"{x + 6:0.0}\" y=\"{y + thickness / 2 + 4:0.0}\">{Picture.Short(_bars[i].Sum)}</text>");
        }
    }

    /// <summary>A part of a bar.</summary>
    public sealed record Part(string Name, double Value);

    private sealed record Bar(string Name, Part[] Parts)
    {
        public double Sum => Parts.Sum(part => part.Value);
    }
}
