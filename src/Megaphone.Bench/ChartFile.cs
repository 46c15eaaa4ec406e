using System.Text.Json;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench chart</c>: draws curves that something else has measured, over a logarithmic axis.</summary>
internal static class ChartFile
{
    /// <summary>Reads the curves, and writes the picture.</summary>
    /// <exception cref="IOException">A file cannot be read or written, or the curves are none.</exception>
    public static bool Draw(ChartOptions options)
    {
        string json = File.ReadAllText(options.Curves);
        try
        {
            File.WriteAllText(options.Svg, Chart.Draw(Read(json)));
            return true;
        }
        catch (Exception wrong) when (wrong is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new IOException($"{options.Curves} has no curves: {wrong.Message}", wrong);
        }
    }

    /// <summary>The charts that a file describes; those without a curve are left out.</summary>
    public static IReadOnlyList<Chart> Read(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        List<Chart> charts = [];
        foreach (JsonElement described in document.RootElement.EnumerateArray())
        {
            Chart chart = new(described.GetProperty("title").GetString()!, logarithmicX: true, logarithmicY: false);
            foreach (JsonProperty curve in described.GetProperty("curves").EnumerateObject())
            {
                List<Chart.Point> points = [];
                foreach (JsonElement point in curve.Value.EnumerateArray()) points.Add(ReadPoint(point));
                chart.Add(curve.Name, points);
            }

            if (!chart.IsEmpty) charts.Add(chart);
        }

        return charts;
    }

    private static Chart.Point ReadPoint(JsonElement point) =>
        point.GetArrayLength() == 2 && point[0].GetDouble() is > 0 and double x
            ? new Chart.Point(x, point[1].GetDouble())
            : throw new FormatException($"{point} is no point [X, Y] with X above zero.");
}
