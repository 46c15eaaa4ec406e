using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Megaphone.Bench;

/// <summary>The results of a run: as a table for people, and as JSON for machines.</summary>
/// <param name="mode">The mode of <c>megaphone bench</c>.</param>
/// <param name="problems">The run's problems.</param>
/// <param name="watch">The samples of the processes.</param>
internal sealed class BenchReport(string mode, ProblemCounts problems, ProcessWatch watch)
{
    private static readonly double[] Percentiles = [0.5, 0.9, 0.99, 0.999];

    private readonly List<BenchFigure> _figures = [];
    private readonly List<BenchLatency> _latencies = [];

    /// <summary>Adds a figure.</summary>
    /// <param name="key">Its name in JSON.</param>
    /// <param name="title">Its name in the table.</param>
    /// <param name="value">The number.</param>
    /// <param name="addsUp">Whether the numbers of several processes add up; else the largest counts.</param>
    public void Add(string key, string title, double value, bool addsUp = true) =>
        _figures.Add(new BenchFigure(key, title, value, addsUp));

    /// <summary>Adds latencies, unless there are none.</summary>
    public void Add(string key, string title, LatencyHistogram latencies)
    {
        if (latencies.Count > 0) _latencies.Add(new BenchLatency(key, title, latencies));
    }

    /// <summary>Writes the table.</summary>
    public void WriteTable(TextWriter to)
    {
        foreach (BenchFigure figure in _figures) to.WriteLine($"{figure.Title,-36}{Number(figure.Value),16}");
        if (_latencies.Count > 0)
        {
            to.WriteLine();
            to.WriteLine($"{"latency in ms",-24}{"50 %",10}{"90 %",10}{"99 %",10}{"99.9 %",10}{"longest",10}");
            foreach (BenchLatency kind in _latencies)
            {
                to.Write($"{kind.Title,-24}");
                foreach (double fraction in Percentiles) to.Write($"{Milliseconds(kind.Latencies.Percentile(fraction)),10}");
                to.WriteLine($"{Milliseconds(kind.Latencies.Max),10}");
            }
        }

        to.WriteLine();
        to.WriteLine($"{"",-36}{"",10}{"",10}{"memory",12}{"CPU",10}{"memory per",14}");
        to.WriteLine($"{"process",-36}{"at s",10}{"clients",10}{"in MiB",12}{"in s",10}{"client, bytes",14}");
        for (int i = 0; i < watch.Watched.Count; i++) WriteProcess(to, i);

        foreach ((string kind, long count) in problems.Kinds)
        {
            if (kind == problems.Kinds[0].Kind) to.WriteLine($"{Environment.NewLine}problems");
            to.WriteLine($"{Number(count),16}  {kind}");
        }
    }

    /// <summary>Writes the same as a JSON object, with what was run.</summary>
    public void WriteJson(Stream to, RunDescription run)
    {
        using Utf8JsonWriter json = new(to, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteString("mode", mode);
        json.WriteString("version", ProductVersion.Current);
        json.WriteString("date", run.Began.ToString("s", CultureInfo.InvariantCulture) + "Z");
        json.WriteString("target", run.Target);
        json.WriteStartObject("options");
        foreach ((string name, string value) in run.Options) json.WriteString(name, value);
        json.WriteEndObject();
        foreach (BenchFigure figure in _figures) json.WriteNumber(figure.Key, Math.Round(figure.Value, 3));
        foreach (BenchLatency kind in _latencies)
        {
            LatencyHistogram latencies = kind.Latencies;
            json.WriteStartObject($"{kind.Key}_latency_us");
            json.WriteNumber("count", latencies.Count);
            foreach (double fraction in Percentiles)
            {
                string percentile = string.Create(CultureInfo.InvariantCulture, $"p{fraction * 100:0.#}");
                json.WriteNumber(percentile, Math.Round(latencies.Percentile(fraction), 1));
            }

            json.WriteNumber("max", Math.Round(latencies.Max, 1));
            json.WriteEndObject();
        }

        WriteJsonProcesses(json);
        json.WriteStartObject("problems");
        foreach ((string kind, long count) in problems.Kinds) json.WriteNumber(kind, count);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>The results of a worker, on one line.</summary>
    /// <param name="well">Whether its part of the run succeeded.</param>
    public string ToWorkerReport(bool well)
    {
        MemoryStream text = new();
        using (Utf8JsonWriter json = new(text))
        {
            json.WriteStartObject();
            json.WriteBoolean("well", well);
            json.WriteStartArray("figures");
            foreach (BenchFigure figure in _figures)
            {
                json.WriteStartObject();
                json.WriteString("key", figure.Key);
                json.WriteString("title", figure.Title);
                json.WriteNumber("value", figure.Value);
                json.WriteBoolean("adds_up", figure.AddsUp);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartArray("latencies");
            foreach (BenchLatency kind in _latencies)
            {
                (IEnumerable<(int Bucket, long Count)> buckets, long max) = kind.Latencies.Parts;
                json.WriteStartObject();
                json.WriteString("key", kind.Key);
                json.WriteString("title", kind.Title);
                json.WriteNumber("max", max);
                json.WriteStartArray("buckets");
                foreach ((int bucket, long count) in buckets)
                {
                    json.WriteNumberValue(bucket);
                    json.WriteNumberValue(count);
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartObject("problems");
            foreach ((string kind, long count) in problems.Kinds) json.WriteNumber(kind, count);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.ToArray());
    }

    /// <summary>Merges the results of a worker.</summary>
    /// <returns>Whether its part of the run succeeded.</returns>
    public bool Merge(JsonElement worker)
    {
        foreach (JsonElement figure in worker.GetProperty("figures").EnumerateArray())
        {
            string key = figure.GetProperty("key").GetString()!;
            double value = figure.GetProperty("value").GetDouble();
            bool addsUp = figure.GetProperty("adds_up").GetBoolean();
            int known = _figures.FindIndex(known => known.Key == key);
            if (known < 0) Add(key, figure.GetProperty("title").GetString()!, value, addsUp);
            else _figures[known] = _figures[known].With(value);
        }

        foreach (JsonElement latency in worker.GetProperty("latencies").EnumerateArray())
        {
            string key = latency.GetProperty("key").GetString()!;
            LatencyHistogram? histogram = _latencies.Find(known => known.Key == key)?.Latencies;
            if (histogram is null)
            {
                histogram = new LatencyHistogram();
                _latencies.Add(new BenchLatency(key, latency.GetProperty("title").GetString()!, histogram));
            }

            long[] buckets = [.. latency.GetProperty("buckets").EnumerateArray().Select(number => number.GetInt64())];
            histogram.Add(buckets.Chunk(2).Select(bucket => ((int)bucket[0], bucket[1])), latency.GetProperty("max").GetInt64());
        }

        foreach (JsonProperty problem in worker.GetProperty("problems").EnumerateObject()) problems.Add(problem.Name, problem.Value.GetInt64());
        return worker.GetProperty("well").GetBoolean();
    }

    /// <summary>Draws the latencies, and the processes' memory over time.</summary>
    public string ToSvg(RunDescription run)
    {
        Chart latency = new("Latency in ms, by the share that is as fast", logarithmicX: false, logarithmicY: true);
        string[] ticks = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"];
        for (int nines = 0; nines < ticks.Length; nines++) latency.AddTick(nines, ticks[nines]);
        foreach (BenchLatency kind in _latencies)
        {
            latency.Add(kind.Title, Enumerable.Range(0, 81).Select(step => PercentileAt(step / 20.0)));
            Chart.Point PercentileAt(double nines) => new(nines, kind.Latencies.Percentile(1 - Math.Pow(10, -nines)) / 1000);
        }

        Chart memory = new("Memory in MiB, by seconds", logarithmicX: false, logarithmicY: false);
        for (int i = 0; i < watch.Watched.Count; i++)
        {
            int process = i;
            memory.Add(watch.Watched[i].Name, watch.Samples.Concat(watch.Phases).Where(point => point.Uses[process] is not null)
                .OrderBy(point => point.Seconds)
                .Select(point => new Chart.Point(point.Seconds, Mebibytes(point.Uses[process]!.Value.MemoryBytes))));
        }

        string title = string.Create(
            CultureInfo.InvariantCulture, $"megaphone {ProductVersion.Current} bench {mode}, to {run.Target}, {run.Began:yyyy-MM-dd}");
        return Picture.Draw([.. new[] { latency, memory }.Where(chart => !chart.IsEmpty)], title);
    }

    private void WriteProcess(TextWriter to, int process)
    {
        string name = watch.Watched[process].Name;
        ProcessUsage? first = watch.Phases.Count > 0 ? watch.Phases[0].Uses[process] : null;
        foreach (WatchSample point in watch.Phases)
        {
            to.Write(string.Create(CultureInfo.InvariantCulture, $"{$"{name} {point.Phase}",-36}{point.Seconds,10:0.0}{point.Clients,10:0}"));
            if (point.Uses[process] is not { } use)
            {
                to.WriteLine("        gone");
                continue;
            }

            string each = first is { } before && point.Clients > 0
                ? Number(Math.Round((use.MemoryBytes - before.MemoryBytes) / (double)point.Clients))
                : "";
            to.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{Mebibytes(use.MemoryBytes),12:0.0}{use.CpuSeconds - (first?.CpuSeconds ?? 0),10:0.00}{each,14}"));
        }

        to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{$"{name} at its peak",-56}{Mebibytes(watch.Peaks[process]),12:0.0}"));
    }

    private void WriteJsonProcesses(Utf8JsonWriter json)
    {
        json.WriteStartArray("phases");
        foreach (WatchSample point in watch.Phases) WritePoint(json, point);
        json.WriteEndArray();
        json.WriteStartArray("samples");
        foreach (WatchSample point in watch.Samples) WritePoint(json, point);
        json.WriteEndArray();
        json.WriteStartObject("peak_bytes");
        for (int i = 0; i < watch.Watched.Count; i++) json.WriteNumber(watch.Watched[i].Key, watch.Peaks[i]);
        json.WriteEndObject();
        json.WriteStartObject("processes");
        foreach (WatchedProcess process in watch.Watched) json.WriteString(process.Key, process.Name);
        json.WriteEndObject();
    }

    private void WritePoint(Utf8JsonWriter json, WatchSample point)
    {
        json.WriteStartObject();
        if (point.Phase.Length > 0) json.WriteString("phase", point.Phase);
        json.WriteNumber("seconds", Math.Round(point.Seconds, 3));
        json.WriteNumber("clients", point.Clients);
        for (int i = 0; i < watch.Watched.Count; i++)
        {
            if (point.Uses[i] is not { } use) continue;
            json.WriteStartObject(watch.Watched[i].Key);
            json.WriteNumber("memory_bytes", use.MemoryBytes);
            json.WriteNumber("cpu_seconds", use.CpuSeconds);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static double Mebibytes(long bytes) => bytes / (double)(1 << 20);

    private static string Milliseconds(double microseconds) =>
        (microseconds / 1000).ToString(microseconds < 10_000 ? "0.000" : "0.0", CultureInfo.InvariantCulture);

    private static string Number(double value) =>
        value.ToString(value == Math.Floor(value) || value >= 1000 ? "N0" : "N1", CultureInfo.InvariantCulture);
}
