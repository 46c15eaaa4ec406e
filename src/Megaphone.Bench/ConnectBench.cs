using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary><c>megaphone bench connect</c>: opens connections and holds them.</summary>
internal sealed class ConnectBench : IBench, ITcpHandler
{
    private readonly ConnectBenchOptions _options;
    private readonly TcpClients _clients;
    private readonly Pacer _pacer;
    private readonly Tally _problems = new();
    private readonly ProcessWatch _watch;
    private readonly byte[] _say;
    private readonly LatencyHistogram _latencies = new();
    private Pace _pace;
    private long _connected;
    private long _closed;
    private long _bytes;
    private volatile bool _ending;

    /// <summary>Makes places for them; nothing is connected yet.</summary>
    public ConnectBench(ConnectBenchOptions options, RunContext context)
    {
        _options = options;
        _clients = new TcpClients(options.Tcp, options.Connections, this);
        _watch = ProcessWatch.Of(options.Run, context, () => Open);
        _pacer = new Pacer(context, options.Run.Patience, _watch, _problems, _clients.Poll);
        _say = new byte[options.Say];
        _say.AsSpan().Fill((byte)'x');
        Report = new BenchReport("connect", _problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    private long Open => Volatile.Read(ref _connected) - Volatile.Read(ref _closed);

    /// <inheritdoc/>
    public bool Run()
    {
        PunctualSleep.Prepare();
        _clients.Start();
        _pacer.Reach("before");
        long began = Stopwatch.GetTimestamp();
        Connect(began);
        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        _pacer.Reach("connected");
        if (_options.Hold > TimeSpan.Zero)
        {
            using (_pacer.Tell("holding", _options.Hold)) _pacer.Wait(_options.Hold);
            _pacer.Reach("after hold");
        }

        long held = Open;
        _ending = true;
        _clients.Stop();
        Volatile.Write(ref _closed, _connected);
        _pacer.Reach("after the end");
        _pacer.WaitOn(_options.Run.After);

        _watch.Dispose();
        Report.Add("connections", "connections", _options.Connections);
        Report.Add("connected", "connected", _connected);
        Report.Add("connect_seconds", "seconds for that", took, addsUp: false);
        Report.Add("connections_per_second", "connections per second", _connected / took);
        Report.Add("held", "still there after the hold", held);
        Report.Add("bytes_in", "bytes received", Volatile.Read(ref _bytes));
        if (_options.Rate > 0) Report.Add("connect", "connect", _latencies);
        return held == _options.Connections && _problems.Total == 0 && !_pacer.Stopped;
    }

    /// <inheritdoc/>
    public void Connected(int index)
    {
        Interlocked.Increment(ref _connected);
        _latencies.Add(Stopwatch.GetTimestamp() - _pace.Due(index));
        if (_say.Length > 0) _clients.Send(index, _say);
    }

    /// <inheritdoc/>
    public void Received(int index, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) _clients.EndWrite(index);
        else Interlocked.Add(ref _bytes, bytes.Length);
    }

    /// <inheritdoc/>
    public void Closed(int index, string? reason)
    {
        if (_ending) return;
        if (reason is null || !reason.StartsWith("no connection", StringComparison.Ordinal)) Interlocked.Increment(ref _closed);
        _problems.Add(reason ?? "the server ended a connection");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        _clients.Dispose();
    }

    private void Connect(long began)
    {
        using Progress progress = _pacer.Tell("connecting", _options.Connections, () => Volatile.Read(ref _connected));
        _pace = new Pace(began, _options.Rate);
        Patience patience = _pacer.NewPatience();
        for (int next = 0; next < _options.Connections && !_pacer.Stopped && !patience.IsOver(next);)
        {
            long due = _pace.Due(next);
            if (due > Stopwatch.GetTimestamp()) _pacer.Nap(due);
            else if (_clients.HasRoom) _clients.Open(next++);
            else _pacer.Nap();
        }

        _pacer.WaitUntil(() => !_clients.IsOpening, () => Volatile.Read(ref _connected));
    }
}
