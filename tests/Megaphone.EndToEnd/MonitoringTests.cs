using System.Text.Json;
using System.Text.RegularExpressions;

namespace Megaphone.EndToEnd;

/// <summary>The alerts and the dashboard that are shipped, beside the metrics that the binary exposes.</summary>
public sealed partial class MonitoringTests : IDisposable
{
    private const string Rules = "megaphone.rules.yml";

    private static readonly string Alerts = Path.Combine(Repository.Root, "packaging/prometheus");
    private static readonly string Dashboard = Path.Combine(Repository.Root, "packaging/grafana/megaphone.json");

    private readonly string _folder = Directory.CreateTempSubdirectory("megaphone-monitoring-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Promtool_accepts_the_alerts() => await AssertAcceptedAsync(Alerts, "check", "rules", Rules);

    [Fact]
    public async Task Alerts_come_when_they_should_and_not_when_they_should_not() =>
        await AssertAcceptedAsync(Alerts, "test", "rules", "megaphone.rules.test.yml");

    [Fact]
    public async Task The_dashboards_expressions_are_what_Prometheus_understands()
    {
        string rules = Path.Combine(_folder, Rules);
        IEnumerable<string> lines = Expressions(Dashboard)
            .Select(expression => expression.Replace("$__rate_interval", "5m", StringComparison.Ordinal))
            .Select((expression, i) => $"      - {{ record: \"r{i}\", expr: {JsonSerializer.Serialize(expression)} }}");
        await File.WriteAllLinesAsync(rules, ["groups:", "  - name: dashboard", "    rules:", .. lines]);

        await AssertAcceptedAsync(_folder, "check", "rules", Rules);
    }

    [Fact]
    public async Task What_the_alerts_and_the_dashboard_ask_for_is_exposed()
    {
        using MegaphoneProcess both = await MegaphoneProcess.BothAsync("Hub:Backend=tcp://127.0.0.1:9");
        (int status, string metrics) = await both.GetAsync("/metrics");
        Assert.Equal(200, status);
        string[] lines = metrics.Split('\n');

        string[] asked = [.. Expressions(Dashboard), .. await File.ReadAllLinesAsync(Path.Combine(Alerts, Rules))];
        string[] unknownMetrics =
        [
            .. asked.SelectMany(text => Metric().Matches(text)).Select(metric => metric.Value).Distinct()
                .Where(metric => !lines.Any(line => line.StartsWith($"# TYPE {metric} ", StringComparison.Ordinal)
                    || line.StartsWith(metric + "{", StringComparison.Ordinal))),
        ];
        string[] unknownLabels =
        [
            .. asked.SelectMany(text => Selector().Matches(text)).SelectMany(Labels).Distinct()
                .Where(label => !lines.Any(line => line.StartsWith(label.Metric + "{", StringComparison.Ordinal)
                    && line.Contains(label.Label, StringComparison.Ordinal)))
                .Select(label => $"{label.Metric}{{{label.Label}}}"),
        ];

        Assert.Empty(unknownMetrics);
        Assert.Empty(unknownLabels);
    }

    private static async Task AssertAcceptedAsync(string folder, params string[] arguments)
    {
        (int status, string said) = await Promtool.RunAsync(arguments, folder);
        Assert.True(status == 0, said);
    }

    /// <summary>Every expression of a dashboard.</summary>
    private static string[] Expressions(string dashboard)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(dashboard));
        string[] all = [.. ExpressionsIn(document.RootElement)];
        Assert.NotEmpty(all);
        return all;
    }

    private static IEnumerable<string> ExpressionsIn(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => element.EnumerateArray().SelectMany(ExpressionsIn),
        JsonValueKind.Object => element.EnumerateObject().SelectMany(
            property => property.Name == "expr" ? [property.Value.GetString()!] : ExpressionsIn(property.Value)),
        _ => [],
    };

    /// <summary>The labels that a selector asks for, each as it would stand in an exposed series; those that Prometheus adds are left out.</summary>
    private static IEnumerable<(string Metric, string Label)> Labels(Match selector) =>
        from label in Label().Matches(selector.Groups["labels"].Value)
        let name = label.Groups["name"].Value
        where name is not ("job" or "instance")
        from value in label.Groups["value"].Value.Split('|')
        select (selector.Groups["metric"].Value, $"{name}=\"{value}\"");

    [GeneratedRegex(@"\b(megaphone|process)_[a-z_]+\b")]
    private static partial Regex Metric();

    [GeneratedRegex(@"(?<metric>(megaphone|process)_[a-z_]+)\{(?<labels>[^}]*)\}")]
    private static partial Regex Selector();

    [GeneratedRegex(@"(?<name>[a-z_]+)=~?""(?<value>[^""]*)""")]
    private static partial Regex Label();
}
