using System.Globalization;
using System.Xml.Linq;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public class ChartTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    [Fact]
    public void Each_chart_has_its_curves_side_by_side()
    {
        XElement svg = Draw("""
            [{"title": "KiB", "curves": {"resident": [[1000, 33], [1000000, 4]], "in use": [[1000, 5], [100000, 4]]}},
             {"title": "CPU", "curves": {"logins": [[1000, 0.4], [10000, 0.3]]}}]
            """);

        Assert.Equal(3, svg.Elements(Svg + "polyline").Count());
        Assert.Equal(6, svg.Elements(Svg + "circle").Count());
        Assert.Equal($"{2 * Picture.Width}", svg.Attribute("width")!.Value);
        Assert.All(["KiB", "resident", "in use", "CPU", "logins"], text => Assert.Contains(text, Texts(svg)));
    }

    [Fact]
    public void A_logarithmic_axis_has_the_powers_of_ten_at_equal_distances()
    {
        XElement svg = Draw("""[{"title": "t", "curves": {"c": [[1000, 1], [31623, 2], [1000000, 3]]}}]""");

        Assert.All(["1,000", "10,000", "100,000", "1,000,000"], text => Assert.Contains(text, Texts(svg)));
        double[] x = [.. svg.Elements(Svg + "circle").Select(circle => double.Parse(circle.Attribute("cx")!.Value, CultureInfo.InvariantCulture))];
        Assert.Equal(x[1] - x[0], x[2] - x[1], tolerance: 0.2);
    }

    [Fact]
    public void A_linear_axis_ends_at_a_number_that_divides_well()
    {
        XElement svg = Draw("""[{"title": "t", "curves": {"c": [[1, 33], [10, 7]]}}]""");
        Assert.All(["0", "10", "20", "30", "40"], text => Assert.Contains(text, Texts(svg)));
    }

    [Theory]
    [InlineData(0.3, "0", "0.1", "0.2", "0.3")]
    [InlineData(7, "0", "2", "4", "6")]
    [InlineData(37.3, "0", "10", "20", "30")]
    [InlineData(90, "0", "20", "40", "60", "80")]
    [InlineData(5430, "0", "2,000", "4,000")]
    public void A_linear_axis_from_left_to_right_has_round_numbers(double right, params string[] ticks) =>
        Assert.Equal(ticks, Rows(right, 1, 1, logarithmic: false).Across);

    [Theory]
    [InlineData(0.13, 0.9, "0.1", "0.2", "0.5", "1")]
    [InlineData(0.7, 11, "0.5", "1", "2", "5", "10", "20")]
    [InlineData(0.02, 340, "0.01", "0.1", "1", "10", "100", "1,000")]
    [InlineData(1, 1, "1")]
    public void A_logarithmic_axis_from_bottom_to_top_has_round_numbers(double least, double most, params string[] ticks) =>
        Assert.Equal(ticks, Rows(1, least, most, logarithmic: true).Up);

    [Fact]
    public void Titles_and_names_are_text_whatever_they_contain()
    {
        XElement svg = Draw("""[{"title": "a < b & c", "curves": {"<d>": [[1, 1], [2, 2]]}}]""");
        Assert.Contains("a < b & c", Texts(svg));
        Assert.Contains("<d>", Texts(svg));
    }

    [Fact]
    public void A_bar_is_as_long_as_the_sum_of_its_parts_which_have_one_colour_in_all_bars()
    {
        XElement svg = Draw("""[{"title": "GB", "bars": {"alone": {"server": 30, "kernel": 10}, "with": {"kernel": 10, "edge": 10}}}]""");

        XElement[] parts = [.. svg.Elements(Svg + "rect")];
        double[] widths = [.. parts.Select(part => double.Parse(part.Attribute("width")!.Value, CultureInfo.InvariantCulture))];
        Assert.Equal(4, parts.Length);
        Assert.Equal(widths[0], 3 * widths[1], tolerance: 0.3);
        Assert.Equal([widths[1], widths[1]], widths[2..]);
        Assert.Equal(parts[1].Attribute("fill")!.Value, parts[2].Attribute("fill")!.Value);
        Assert.Equal(3, parts.Select(part => part.Attribute("fill")!.Value).Distinct().Count());
        Assert.All(["GB", "alone", "with", "server", "kernel", "edge", "40", "20"], text => Assert.Contains(text, Texts(svg)));
    }

    [Fact]
    public void A_chart_without_a_bar_is_left_out() => Assert.Empty(ChartFile.Read("""[{"title": "t", "bars": {}}]"""));

    [Fact]
    public void A_curve_of_one_point_and_a_chart_without_a_curve_are_left_out() =>
        Assert.Empty(ChartFile.Read("""[{"title": "t", "curves": {"c": [[1, 1]]}}]"""));

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("[{}]")]
    [InlineData("""[{"title": "t", "curves": {"c": [[0, 1], [2, 2]]}}]""")]
    [InlineData("""[{"title": "t", "curves": {"c": [[1], [2]]}}]""")]
    [InlineData("""[{"title": "t", "bars": {"b": {"part": "1"}}}]""")]
    public void A_file_without_charts_is_refused_by_name(string json)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, json);
            IOException refused = Assert.Throws<IOException>(() => ChartFile.Draw(new ChartOptions { Curves = file, Svg = "/dev/null" }));
            Assert.StartsWith($"{file} has no charts: ", refused.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static XElement Draw(string json) => XElement.Parse(Picture.Draw(ChartFile.Read(json)));

    /// <summary>The numbers at the axes of a chart with these bounds.</summary>
    private static (IEnumerable<string> Across, IEnumerable<string> Up) Rows(double right, double least, double most, bool logarithmic)
    {
        Chart chart = new("t", logarithmicX: false, logarithmicY: logarithmic);
        chart.Add("c", [new Chart.Point(0, least), new Chart.Point(right, most)]);
        XElement svg = XElement.Parse(Picture.Draw([chart]));
        return (Anchored("middle"), Anchored("end"));

        IEnumerable<string> Anchored(string anchor) =>
            svg.Elements(Svg + "text").Where(text => text.Attribute("text-anchor")?.Value == anchor).Select(text => text.Value);
    }

    private static IEnumerable<string> Texts(XElement svg) => svg.Elements(Svg + "text").Select(text => text.Value);
}
