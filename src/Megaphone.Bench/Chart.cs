using System.Globalization;
using System.Text;

namespace Megaphone.Bench;

/// <summary>A diagram of curves.</summary>
/// <param name="title">What stands above it.</param>
/// <param name="logarithmicX">Whether the horizontal axis is logarithmic, from one power of ten to another; a linear one begins at zero.</param>
/// <param name="logarithmicY">Whether the vertical axis is logarithmic, from the smallest value to the largest; a linear one begins at zero.</param>
internal sealed class Chart(string title, bool logarithmicX, bool logarithmicY) : IDiagram
{
    private const int Left = 52, Right = 34, Bottom = 30;

    /// <summary>Curves of so many points or fewer show each of them.</summary>
    private const int MaxDots = 20;

    private readonly List<Curve> _curves = [];
    private readonly List<Tick> _ticks = [];

    /// <inheritdoc/>
    public bool IsEmpty => _curves.Count == 0;

    /// <summary>Adds a curve; one of fewer than two points is left out.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="points">Its points, from left to right.</param>
    public void Add(string name, IEnumerable<Point> points)
    {
        Point[] curve = [.. points];
        if (curve.Length > 1) _curves.Add(new Curve(name, curve));
    }

    /// <summary>Labels a place of a linear horizontal axis; without any label it has round numbers.</summary>
    public void AddTick(double x, string label) => _ticks.Add(new Tick(x, label));

    /// <inheritdoc/>
    public void Draw(StringBuilder svg, int offset)
    {
        Point[] all = [.. _curves.SelectMany(curve => curve.Points)];
        double left = logarithmicX ? Math.Floor(Math.Log10(all.Min(point => point.X))) : 0;
        double right = logarithmicX ? Math.Ceiling(Math.Log10(all.Max(point => point.X))) : all.Max(point => point.X);
        double most = Math.Max(all.Max(point => point.Y), 1e-9);
        List<double> rows = logarithmicY ? LogarithmicSteps(Math.Max(all.Min(point => point.Y), most / 1e6), most) : Steps(most, upTo: false);
        double low = rows[0], high = rows[^1];

        double Scaled(Point point) => logarithmicX ? Math.Log10(point.X) : point.X;
        double X(double x) => offset + Left + (x - left) / Math.Max(right - left, 1e-9) * (Picture.Width - Left - Right);
        double Y(double y) => Picture.Height - Bottom - Part(y) * (Picture.Height - Picture.Top - Bottom);
        double Part(double y) => !logarithmicY ? y / high : low < high ? Math.Log(Math.Max(y, low) / low) / Math.Log(high / low) : 1;

        Picture.AppendHead(svg, offset, Left, title, _curves.Select(curve => curve.Name));
        foreach (double y in rows)
        {
            int end = offset + Picture.Width - Right;
            Picture.Append(svg, $"<line class=\"grid\" x1=\"{offset + Left}\" x2=\"{end}\" y1=\"{Y(y):0.0}\" y2=\"{Y(y):0.0}\"/>");
            Picture.Append(svg, $"<text x=\"{offset + Left - 6}\" y=\"{Y(y) + 4:0.0}\" text-anchor=\"end\">{Picture.Short(y)}</text>");
        }

        foreach (Tick tick in Ticks(left, right))
            Picture.Append(svg, $"<text x=\"{X(tick.X):0.0}\" y=\"{Picture.Height - 12}\" text-anchor=\"middle\">{tick.Label}</text>");

        for (int i = 0; i < _curves.Count; i++)
        {
            Point[] points = _curves[i].Points;
            string colour = Picture.ColourOf(i);
            string line = string.Join(
                ' ', points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(Scaled(point)):0.0},{Y(point.Y):0.0}")));
            Picture.Append(svg, $"<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{line}\"/>");
            if (points.Length <= MaxDots)
            {
                foreach (Point point in points)
                    Picture.Append(svg, $"<circle cx=\"{X(Scaled(point)):0.0}\" cy=\"{Y(point.Y):0.0}\" r=\"3\" fill=\"{colour}\"/>");
            }
        }
    }

    /// <summary>Round numbers from zero on, at equal distances: five steps, or fewer.</summary>
    /// <param name="most">The largest value that is to be shown.</param>
    /// <param name="upTo">Whether they end before it; else the last one is beyond.</param>
    private static List<double> Steps(double most, bool upTo)
    {
        const int MostSteps = 5;
        double power = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(most, 1e-9) / MostSteps)));
        double step = power;
        foreach (int factor in (ReadOnlySpan<int>)[2, 5, 10])
        {
            if (step * MostSteps < most) step = power * factor;
        }

        // What is as good as whole is whole.
        double count = most / step;
        int last = (int)(upTo ? Math.Floor(count + 1e-9) : Math.Max(1, Math.Ceiling(count - 1e-9)));
        List<double> steps = [];
        for (int i = 0; i <= last; i++) steps.Add(i * step);
        return steps;
    }

    /// <summary>Round numbers from below the values to above them: powers of ten, and where these are few, twice and five times those.</summary>
    private static List<double> LogarithmicSteps(double least, double most)
    {
        const int Few = 3;
        double first = Math.Floor(Math.Log10(least)), last = Math.Ceiling(Math.Log10(most));
        ReadOnlySpan<int> factors = last - first > Few ? [1] : [1, 2, 5];
        List<double> steps = [];
        for (double power = first; power <= last; power++)
        {
            foreach (int factor in factors)
            {
                double value = factor * Math.Pow(10, power);
                if (value <= least) steps.Clear();
                if (steps.Count == 0 || steps[^1] < most) steps.Add(value);
            }
        }

        return steps;
    }

    private List<Tick> Ticks(double left, double right)
    {
        if (_ticks.Count > 0) return _ticks;
        if (!logarithmicX) return [.. Steps(right, upTo: true).Select(value => new Tick(value, Picture.Short(value)))];
        List<Tick> ticks = [];
        for (double power = left; power <= right; power++) ticks.Add(new Tick(power, Picture.Short(Math.Pow(10, power))));
        return ticks;
    }

    /// <summary>A point of a curve.</summary>
    public sealed record Point(double X, double Y);

    private sealed record Curve(string Name, Point[] Points);

    private sealed record Tick(double X, string Label);
}
