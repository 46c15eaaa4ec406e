using System.Text.Json;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench chart</c>: draws what something else has measured, as curves over a logarithmic axis or as bars.</summary>
internal static class ChartFile
{
    /// <summary>Reads the curves, and writes the picture.</summary>
    /// <exception cref="IOException">A file cannot be read or written, or has nothing to draw.</exception>
    public static bool Draw(ChartOptions options)
    {
        string json = File.ReadAllText(options.Curves);
        try
        {
            File.WriteAllText(options.Svg, Picture.Draw(Read(json)));
            return true;
        }
        catch (Exception wrong) when (wrong is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new IOException($"{options.Curves} has no charts: {wrong.Message}", wrong);
        }
    }

    /// <summary>The charts that a file describes; those without a curve or bar are left out.</summary>
    public static IReadOnlyList<IDiagram> Read(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateArray().Select(ReadChart).Where(chart => !chart.IsEmpty)];
    }

    private static IDiagram ReadChart(JsonElement described)
    {
        string title = described.GetProperty("title").GetString()!;
        return described.TryGetProperty("bars", out JsonElement bars) ? ReadBars(title, bars) : ReadCurves(title, described.GetProperty("curves"));
    }

    private static BarChart ReadBars(string title, JsonElement bars)
    {
        BarChart chart = new(title);
        foreach (JsonProperty bar in bars.EnumerateObject())
            chart.Add(bar.Name, bar.Value.EnumerateObject().Select(part => new BarChart.Part(part.Name, part.Value.GetDouble())));
        return chart;
    }

    private static Chart ReadCurves(string title, JsonElement curves)
    {
        Chart chart = new(title, logarithmicX: true, logarithmicY: false);
        foreach (JsonProperty curve in curves.EnumerateObject()) chart.Add(curve.Name, curve.Value.EnumerateArray().Select(ReadPoint));
        return chart;
    }

    private static Chart.Point ReadPoint(JsonElement point) =>
        point.GetArrayLength() == 2 && point[0].GetDouble() is > 0 and double x
            ? new Chart.Point(x, point[1].GetDouble())
            : throw new FormatException($"{point} is no point [X, Y] with X above zero.");
}
