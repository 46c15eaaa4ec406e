using System.Diagnostics;
using System.Text.Json;
using System.Xml.Linq;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public sealed class BenchReportTests : IDisposable
{
    private static readonly RunDescription Run = new(
        new DateTime(2026, 1, 31, 12, 0, 0, DateTimeKind.Utc), new Dictionary<string, string> { ["to"] = "192.0.2.1:5222", ["hold"] = "60" });

    private readonly ProblemCounts _problems = new();
    private readonly ProcessWatch _watch = new([], [Environment.ProcessId], () => 1000);
    private readonly BenchReport _report;

    public BenchReportTests()
    {
        LatencyHistogram latencies = new();
        for (int i = 1; i <= 1000; i++) latencies.Add(i * Stopwatch.Frequency / 1_000_000);
        _problems.Add("a session was lost", 2);
        _problems.Add("another kind");
        _watch.Mark("before");
        _watch.Mark("logged in");
        _report = new BenchReport("link", _problems, _watch);
        _report.Add("logged_in", "logged in", 1_234_567);
        _report.Add("logins_per_second", "logins per second", 12.34);
        _report.Add("login", "login", latencies);
        _report.Add("message", "message", new LatencyHistogram());
    }

    private static int Id => Environment.ProcessId;

    public void Dispose() => _watch.Dispose();

    [Fact]
    public void The_table_has_figures_latencies_processes_and_problems()
    {
        StringWriter table = new();
        _report.WriteTable(table);
        string[] lines = [.. table.ToString().Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))];

        Assert.Contains("logged in 1,234,567", lines);
        Assert.Contains("logins per second 12.3", lines);
        Assert.Contains(lines, line => line.StartsWith("login 0.5", StringComparison.Ordinal) && line.EndsWith(" 1.000", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.StartsWith("message ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("bench logged in ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("bench at its peak ", StringComparison.Ordinal));
        Assert.Equal(["problems", "2 a session was lost", "1 another kind"], lines[^4..^1]);
    }

    [Fact]
    public void The_JSON_has_the_same()
    {
        MemoryStream text = new();
        _report.WriteJson(text, Run);
        JsonElement json = JsonDocument.Parse(text.ToArray()).RootElement;

        Assert.Equal("link", json.GetProperty("mode").GetString());
        Assert.Equal(ProductVersion.Current, json.GetProperty("version").GetString());
        Assert.Equal("2026-01-31T12:00:00Z", json.GetProperty("date").GetString());
        Assert.Equal("192.0.2.1:5222", json.GetProperty("target").GetString());
        Assert.Equal("60", json.GetProperty("options").GetProperty("hold").GetString());
        Assert.Equal($"{ProcessUsage.NameOf(Id)} {Id}", json.GetProperty("processes").GetProperty($"{Id}").GetString());
        Assert.Equal(1_234_567, json.GetProperty("logged_in").GetInt32());
        Assert.Equal(1000, json.GetProperty("login_latency_us").GetProperty("count").GetInt32());
        Assert.InRange(json.GetProperty("login_latency_us").GetProperty("p99.9").GetDouble(), 980, 1000);
        Assert.Equal(["before", "logged in"], json.GetProperty("phases").EnumerateArray().Select(phase => phase.GetProperty("phase").GetString()));
        Assert.True(json.GetProperty("phases")[1].GetProperty("bench").GetProperty("memory_bytes").GetInt64() > 0);
        Assert.Equal(2, json.GetProperty("problems").GetProperty("a session was lost").GetInt32());
    }

    [Fact]
    public void The_picture_is_SVG_with_a_curve_for_each_kind_of_latency_and_each_process()
    {
        XElement svg = XElement.Parse(_report.ToSvg(Run));
        XNamespace names = "http://www.w3.org/2000/svg";
        string title = $"megaphone {ProductVersion.Current} bench link, to 192.0.2.1:5222, 2026-01-31";

        Assert.Equal(names + "svg", svg.Name);
        Assert.Equal(3, svg.Elements(names + "polyline").Count());
        Assert.Equal(title, svg.Element(names + "title")!.Value);
        Assert.All(
            [title, "login", "Memory in MiB, by seconds", "bench", $"{ProcessUsage.NameOf(Id)} {Id}"],
            expected => Assert.Contains(svg.Elements(names + "text"), text => text.Value == expected));
    }

    [Fact]
    public void The_results_of_several_processes_are_merged()
    {
        using ProcessWatch watch = new([], [], () => 0);
        BenchReport whole = new("link", new ProblemCounts(), watch);
        _report.Add("seconds", "seconds", 3, addsUp: false);

        Assert.True(whole.Merge(JsonDocument.Parse(_report.ToWorkerReport(well: true)).RootElement));
        Assert.False(whole.Merge(JsonDocument.Parse(_report.ToWorkerReport(well: false)).RootElement));
        MemoryStream text = new();
        whole.WriteJson(text, Run);
        JsonElement json = JsonDocument.Parse(text.ToArray()).RootElement;
        Assert.Equal(2 * 1_234_567, json.GetProperty("logged_in").GetInt32());
        Assert.Equal(3, json.GetProperty("seconds").GetInt32());
        Assert.Equal(2000, json.GetProperty("login_latency_us").GetProperty("count").GetInt32());
        Assert.InRange(json.GetProperty("login_latency_us").GetProperty("p50").GetDouble(), 490, 510);
        Assert.Equal(4, json.GetProperty("problems").GetProperty("a session was lost").GetInt32());
    }

    [Theory]
    [InlineData(100, 164, 1)]
    [InlineData(101, 164, 2)]
    [InlineData(100_000, 20_000, 6)]
    public void There_are_as_many_processes_as_descriptors_demand(int connections, int descriptors, int parts) =>
        Assert.Equal(parts, SplitBench.ProcessesFor(connections, (ulong)descriptors));

    [Fact]
    public void Shares_differ_by_one_at_most_and_add_up()
    {
        int[] shares = [.. Enumerable.Range(0, 7).Select(part => SplitBench.ShareOf(100, part, 7))];
        Assert.Equal(100, shares.Sum());
        Assert.InRange(shares.Max() - shares.Min(), 0, 1);
    }

    [Theory]
    [InlineData(0, 100, 0, 0, "logging in: 0 of 100, 0/s, 0.0 s")]
    [InlineData(500, 1_000_000, 10, 0, "logging in: 500 of 1,000,000, 50/s, 10.0 s, 5:33:10 left")]
    [InlineData(100, 100, 90, 1200, "logging in: 100 of 100, 1/s, 0:01:30, 1,200 problems")]
    public void Progress_shows_rate_time_left_and_problems(long done, long total, double seconds, long problems, string line) =>
        Assert.Equal(line, Progress.Line("logging in", done, total, seconds, problems));

    [Fact]
    public void Kinds_of_problems_are_bounded()
    {
        for (int i = 0; i < 1000; i++) _problems.Add($"kind {i}");
        Assert.InRange(_problems.Kinds.Count, 100, 101);
        Assert.Equal(1003, _problems.Total);
    }
}
