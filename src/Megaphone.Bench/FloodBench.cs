using System.Diagnostics;
using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench flood</c>: one link of the plain protocol, full of packets, in front of an echo.</summary>
internal sealed class FloodBench : IBench
{
    private readonly FloodBenchOptions _options;
    private readonly ProblemCounts _problems = new();
    private readonly ProcessWatch _watch;
    private readonly RunDriver _driver;
    private long _clients;

    /// <summary>Makes the run; nothing is connected yet.</summary>
    public FloodBench(FloodBenchOptions options, RunContext context)
    {
        _options = options;
        _watch = ProcessWatch.Of(options.Run, context, () => Volatile.Read(ref _clients));
        _driver = new RunDriver(context, options.Run.Patience, _watch, _problems, () => { });
        Report = new BenchReport("flood", _problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    /// <inheritdoc/>
    public bool Run()
    {
        _driver.EndPhase("before");
        bool well;
        int descriptor = Connect(_options.To);
        using (PacketFlood flood = new(descriptor, _options.Sessions, _options.PacketBytes))
        {
            Volatile.Write(ref _clients, _options.Sessions);
            well = Play(flood);
        }

        _ = Libc.Close(descriptor);
        Volatile.Write(ref _clients, 0);
        _driver.EndPhase("after the end");
        _driver.KeepWatching(_options.Run.After);
        _watch.Dispose();
        return well && _problems.Total == 0 && !_driver.IsStopped;
    }

    /// <inheritdoc/>
    public void Dispose() => _watch.Dispose();

    private static unsafe int Connect(HostPort to)
    {
        NativeAddress address = new(TcpClients.Resolve(to));
        int descriptor = Libc.Socket(address.Family, Libc.SockStream | Libc.SockCloseOnExec, 0);
        if (descriptor < 0 || Libc.Connect(descriptor, &address, address.Length) != 0)
            throw new IOException($"no link to {to}: {Libc.Describe(Marshal.GetLastPInvokeError())}");
        _ = Libc.SetSocketOption(descriptor, Libc.IpProtoTcp, Libc.TcpNoDelay, 1);
        return descriptor;
    }

    private bool Play(PacketFlood flood)
    {
        Wait("warming up", _options.Time.WarmUp, flood);
        _driver.EndPhase("warmed up");

        long before = flood.BytesReceived;
        long began = Stopwatch.GetTimestamp();
        Wait("playing", _options.Time.Counted, flood);
        double bytes = flood.BytesReceived - before;
        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        _driver.EndPhase("played");

        flood.StopSending();
        _driver.WaitUntil(() => flood.IsOver, () => flood.BytesReceived, ending: true);
        if (flood.Failure is { } failure) _problems.Add(failure);
        Report.Add("packets", "packets that came back", bytes / _options.PacketBytes);
        Report.Add("bytes_missing", "bytes that did not", flood.BytesMissing);
        Report.Add("seconds", "seconds", took);
        Report.Add("packets_per_second", "packets per second", bytes / _options.PacketBytes / took);
        Report.Add("bytes_per_second", "bytes per second", bytes / took);
        return bytes > 0 && flood.BytesMissing == 0;
    }

    private void Wait(string what, TimeSpan time, PacketFlood flood)
    {
        using Progress progress = _driver.ShowProgress(what, time);
        _driver.Wait(time, () => flood.Failure is not null);
    }
}
