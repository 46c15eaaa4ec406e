using System.Globalization;

namespace Megaphone.EndToEnd.Support;

/// <summary>The answer of <c>GET /metrics</c> at one moment.</summary>
internal sealed class MetricsSnapshot
{
    private readonly List<(string Name, string Labels, double Value)> _samples = [];

    /// <summary>Takes Prometheus text apart: <c>name{label="value",…} number</c>, one sample per line.</summary>
    public MetricsSnapshot(string text)
    {
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('#')) continue;

            int space = line.LastIndexOf(' ');
            int brace = line.IndexOf('{');
            string name = line[..(brace < 0 ? space : brace)];
            string labels = brace < 0 ? "" : line[(brace + 1)..(space - 1)];
            _samples.Add((name, labels, double.Parse(line.AsSpan(space + 1), CultureInfo.InvariantCulture)));
        }
    }

    /// <summary>The sum of the samples of that name that have these labels, each written <c>label=value</c>.</summary>
    /// <exception cref="KeyNotFoundException">There is no such sample: a slip in a test must not read as zero.</exception>
    public long this[string name, params string[] labels]
    {
        get
        {
            string[] wanted = [.. labels.Select(label => label.Replace("=", "=\"", StringComparison.Ordinal) + "\"")];
            List<double> values = [.. _samples
                .Where(sample => sample.Name == name && wanted.All(label => sample.Labels.Split(',').Contains(label)))
                .Select(sample => sample.Value)];
            return values.Count > 0
                ? (long)values.Sum()
                : throw new KeyNotFoundException($"No sample of {name} {string.Join(' ', labels)}.");
        }
    }

    /// <summary>All samples of that name, for messages: a count that is missing is often under another label.</summary>
    public string Samples(string name) => string.Join(", ", _samples
        .Where(sample => sample.Name == name)
        .Select(sample => string.Create(CultureInfo.InvariantCulture, $"{{{sample.Labels}}} {sample.Value}")));
}
