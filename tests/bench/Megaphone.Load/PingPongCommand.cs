using System.Net;
using Megaphone.Bench;

namespace Megaphone.Load;

/// <summary>Clients that send messages and wait for each to come back.</summary>
internal static class PingPongCommand
{
    /// <summary>Runs the command; prints one line of JSON.</summary>
    /// <exception cref="IOException">A connection could not be made.</exception>
    public static void Run(Arguments arguments)
    {
        IPEndPoint to = arguments.EndPoint("to");
        int connections = arguments.Count("connections", 1000, min: 1);
        int bytes = arguments.Count("bytes", 200, min: 1);
        double seconds = arguments.Number("seconds", 5);
        double warmUp = arguments.Number("warmup", 1);
        double rate = arguments.Number("rate", 0);
        CpuWatch watch = new(arguments.ProcessIds("watch"));
        arguments.RefuseOthers();

        PingPong game = new(ClientSockets.Open(to, connections), bytes, rate);
        game.Begin();
        game.Play(TimeSpan.FromSeconds(warmUp));

        game.Latencies = new LatencyHistogram();
        watch.Restart();
        double played = game.Play(TimeSpan.FromSeconds(seconds));
        (int, double)[] processor = watch.Read();
        LatencyHistogram latencies = game.Latencies;
        long missing = game.Finish(TimeSpan.FromSeconds(2));

        using Figures figures = new();
        figures.Add("messages", latencies.Count);
        figures.Add("seconds", played);
        figures.Add("messages_per_second", latencies.Count / played);
        figures.Add("p50_us", latencies.Percentile(0.5));
        figures.Add("p90_us", latencies.Percentile(0.9));
        figures.Add("p99_us", latencies.Percentile(0.99));
        figures.Add("max_us", latencies.Max);
        figures.Add("errors", game.Errors + missing);
        figures.Add("cpu_seconds", processor);
    }
}
