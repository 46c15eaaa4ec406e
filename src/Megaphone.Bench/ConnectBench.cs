using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench connect</c>: opens connections and holds them.</summary>
internal sealed class ConnectBench : TcpBench
{
    private readonly ConnectBenchOptions _options;
    private readonly byte[] _say;
    private readonly LatencyHistogram _latencies = new();
    private Schedule _schedule;
    private double _took;
    private long _bytes;

    /// <summary>Reserves room for the connections; nothing is connected yet.</summary>
    public ConnectBench(ConnectBenchOptions options, RunContext context)
        : base("connect", options, context)
    {
        _options = options;
        _say = new byte[options.Say];
        _say.AsSpan().Fill((byte)'x');
    }

    private long Bytes => Volatile.Read(ref _bytes);

    /// <inheritdoc/>
    public override void Connected(int index)
    {
        base.Connected(index);
        _latencies.Add(Stopwatch.GetTimestamp() - _schedule.Due(index));
        if (_say.Length > 0) Clients.Send(index, _say);
    }

    /// <inheritdoc/>
    protected override void Connect()
    {
        long began = Stopwatch.GetTimestamp();
        _schedule = new Schedule(began, _options.Rate);
        Connect(_schedule);
        _took = Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    /// <inheritdoc/>
    protected override bool Play()
    {
        if (_options.Hear > 0) Hear();
        if (_options.Hold > TimeSpan.Zero)
        {
            using (Driver.ShowProgress("holding", _options.Hold)) Driver.Wait(_options.Hold);
            Driver.EndPhase("after hold");
        }

        Report.Add("connections", "connections", _options.Connections);
        Report.Add("connected", "connected", EverConnected);
        Report.Add("connect_seconds", "seconds for that", _took, addsUp: false);
        Report.Add("connections_per_second", "connections per second", EverConnected / _took);
        Report.Add("held", "still there after the hold", Open);
        Report.Add("bytes_in", "bytes received", Bytes);
        if (_options.Rate > 0) Report.Add("connect", "connect", _latencies);
        return true;
    }

    /// <inheritdoc/>
    protected override void Handle(int index, ReadOnlySpan<byte> bytes) => Interlocked.Add(ref _bytes, bytes.Length);

    private void Hear()
    {
        long wanted = EverConnected * _options.Hear;
        using (Driver.ShowProgress("hearing", _options.Connections, () => Bytes / _options.Hear))
            Driver.WaitUntil(() => Bytes >= wanted, () => Bytes);
        if (!Driver.IsStopped) Problems.Add("a byte did not come back", Math.Max(0, wanted - Bytes));
        Driver.EndPhase("heard");
    }
}
