using System.Diagnostics;
using System.Net;

namespace Megaphone.Load;

/// <summary>One link full of packets, in front of an echo.</summary>
internal static class LinkCommand
{
    /// <summary>Runs the command; prints one line of JSON.</summary>
    /// <exception cref="IOException">The link could not be made or failed, or what came back was not what was sent.</exception>
    public static void Run(Arguments arguments)
    {
        IPEndPoint to = arguments.EndPoint("to");
        int sessions = arguments.Count("sessions", 1000, min: 1);
        int bytes = arguments.Count("bytes", 64, min: PacketFlood.SmallestPacket);
        double seconds = arguments.Number("seconds", 5);
        double warmUp = arguments.Number("warmup", 1);
        CpuWatch watch = new(arguments.ProcessIds("watch"));
        arguments.RefuseOthers();

        using PacketFlood flood = new(to, sessions, bytes);
        flood.Start();
        Thread.Sleep(TimeSpan.FromSeconds(warmUp));

        watch.Restart();
        long before = flood.BytesReceived;
        long began = Stopwatch.GetTimestamp();
        Thread.Sleep(TimeSpan.FromSeconds(seconds));
        long received = flood.BytesReceived - before;
        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        (int, double)[] processor = watch.Read();
        long missing = flood.Finish(TimeSpan.FromSeconds(5));

        using Figures figures = new();
        figures.Add("packets", (double)received / bytes);
        figures.Add("seconds", took);
        figures.Add("packets_per_second", received / bytes / took);
        figures.Add("bytes_per_second", received / took);
        figures.Add("missing_bytes", missing);
        figures.Add("cpu_seconds", processor);
    }
}
