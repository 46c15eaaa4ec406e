namespace Megaphone.Bench;

/// <summary>The options of <c>megaphone bench chart</c>.</summary>
internal sealed record ChartOptions
{
    private static readonly BenchOption CurvesOption = new(
        "curves", "FILE", null,
        "JSON: [{\"title\": \"…\", \"curves\": {\"NAME\": [[X, Y], …]}}, …], X above zero; or \"bars\": {\"NAME\": {\"PART\": Y, …}}",
        Required: true);
    private static readonly BenchOption SvgOption = new("svg", "FILE", null, "where the picture goes", Required: true);

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [CurvesOption, SvgOption];

    /// <summary>The file that has the curves.</summary>
    public required string Curves { get; init; }

    /// <summary>The file for the picture.</summary>
    public required string Svg { get; init; }

    /// <summary>Reads the options. The result only counts when no problem was added.</summary>
    public static ChartOptions Read(OptionValues values) => new()
    {
        Curves = values.Get(CurvesOption, BenchFormats.File)!,
        Svg = values.Get(SvgOption, BenchFormats.File)!,
    };
}
