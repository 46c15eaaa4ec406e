using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Megaphone.Admin;

/// <summary>Writes the instruments of one meter in Prometheus' text format, version 0.0.4.</summary>
/// <remarks>
/// <code>
/// # HELP name description
/// # TYPE name counter|gauge|histogram
/// name{label="value",…} number
/// </code>
/// An instrument that carries <see cref="Histogram"/> is a histogram: a sample of it that has a label named <see cref="Part"/> belongs to the
/// series <c>name_VALUE</c>, without that label.
/// Metrics are in the order in which their instruments were made, samples in the order in which they are observed.
/// Thread-safe: one scrape at a time.
/// </remarks>
internal sealed class PrometheusText : IDisposable
{
    /// <summary>The Content-Type of the text.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>A tag of instruments.</summary>
    public const string Histogram = "histogram";

    /// <summary>A label of a histogram's samples: <c>bucket</c>, <c>sum</c> or <c>count</c>. It comes first.</summary>
    public const string Part = "part";

    private readonly Lock _lock = new();
    private readonly MeterListener _listener = new();
    private readonly List<Instrument> _instruments = [];
    private readonly Dictionary<Instrument, StringBuilder> _samples = [];

    /// <summary>Listens to the meter, including instruments that are made later.</summary>
    public PrometheusText(Meter meter)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter != meter) return;
            _instruments.Add(instrument);
            _samples.Add(instrument, new StringBuilder());
            listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, labels, _) => Add(instrument, value, labels));
        _listener.SetMeasurementEventCallback<long>((instrument, value, labels, _) => Add(instrument, value, labels));
        _listener.SetMeasurementEventCallback<double>((instrument, value, labels, _) => Add(instrument, value, labels));
        _listener.Start();
    }

    /// <summary>Observes every instrument and writes its samples.</summary>
    public string Write()
    {
        lock (_lock)
        {
            foreach (StringBuilder samples in _samples.Values) samples.Clear();
            _listener.RecordObservableInstruments();

            StringBuilder text = new();
            foreach (Instrument instrument in _instruments)
            {
                string type = IsHistogram(instrument) ? Histogram
                    : instrument is ObservableCounter<long> or ObservableCounter<double> ? "counter" : "gauge";
                text.Append("# HELP ").Append(instrument.Name).Append(' ').Append(instrument.Description).Append('\n')
                    .Append("# TYPE ").Append(instrument.Name).Append(' ').Append(type).Append('\n')
                    .Append(_samples[instrument]);
            }

            return text.ToString();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void Add<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> labels)
        where T : struct, IFormattable
    {
        StringBuilder line = _samples[instrument].Append(instrument.Name);
        if (IsHistogram(instrument))
        {
            line.Append('_').Append((string)labels[0].Value!);
            labels = labels[1..];
        }

        char before = '{';
        foreach ((string name, object? label) in labels)
        {
            line.Append(before).Append(name).Append("=\"").Append(Escape((string)label!)).Append('"');
            before = ',';
        }

        if (labels.Length > 0) line.Append('}');
        line.Append(' ').Append(value.ToString(null, CultureInfo.InvariantCulture)).Append('\n');
    }

    private static bool IsHistogram(Instrument instrument) => instrument.Tags?.Any(tag => tag.Key == Histogram) is true;

    private static string Escape(string label) => label
        .Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal)
        .Replace("\n", "\\n", StringComparison.Ordinal);
}
