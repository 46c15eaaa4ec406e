using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>A run over plain TCP connections: opens them, lets the mode play, and closes them.</summary>
internal abstract class TcpBench : IBench, ITcpHandler
{
    private readonly TcpBenchOptions _options;
    private readonly ProcessWatch _watch;
    private long _connected;
    private long _closed;
    private volatile bool _closing;

    /// <summary>Makes places for the connections; nothing is connected yet.</summary>
    protected TcpBench(string mode, TcpBenchOptions options, RunContext context)
    {
        _options = options;
        Clients = new TcpClients(options.Tcp, options.Connections, this);
        _watch = ProcessWatch.Of(options.Run, context, () => Open);
        Pacer = new Pacer(context, options.Run.Patience, _watch, Problems, Clients.Poll);
        Report = new BenchReport(mode, Problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    /// <summary>The connections.</summary>
    protected TcpClients Clients { get; }

    /// <summary>Leads through the phases.</summary>
    protected Pacer Pacer { get; }

    /// <summary>What went wrong.</summary>
    protected Tally Problems { get; } = new();

    /// <summary>Connections that were established, whether or not they still are.</summary>
    protected long EverConnected => Volatile.Read(ref _connected);

    /// <summary>Connections that are established now.</summary>
    protected long Open => EverConnected - Volatile.Read(ref _closed);

    /// <inheritdoc/>
    public bool Run()
    {
        PunctualSleep.Prepare();
        Clients.Start();
        Pacer.Reach("before");
        Connect();
        Pacer.Reach("connected");
        bool well = Play();
        _closing = true;
        Clients.Stop();
        Volatile.Write(ref _closed, _connected);
        Pacer.Reach("after the end");
        Pacer.WaitOn(_options.Run.After);
        _watch.Dispose();
        return well && _connected == _options.Connections && Problems.Total == 0 && !Pacer.Stopped;
    }

    /// <inheritdoc/>
    public virtual void Connected(int index) => Interlocked.Increment(ref _connected);

    /// <inheritdoc/>
    public void Received(int index, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) Clients.EndWrite(index);
        else Take(index, bytes);
    }

    /// <inheritdoc/>
    public void Closed(int index, string? reason)
    {
        if (_closing) return;
        if (reason is null || !reason.StartsWith("no connection", StringComparison.Ordinal)) Interlocked.Increment(ref _closed);
        Problems.Add(reason ?? "the server ended a connection");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        Clients.Dispose();
    }

    /// <summary>Opens all connections, or as many as can be.</summary>
    protected abstract void Connect();

    /// <summary>Does what the mode is for while the connections are open, and reports on it.</summary>
    /// <returns>Whether it went well.</returns>
    protected abstract bool Play();

    /// <summary>Handles what came on a connection. On the thread of its reactor.</summary>
    protected abstract void Take(int index, ReadOnlySpan<byte> bytes);

    /// <summary>Opens all connections, each when it is due.</summary>
    protected void Connect(Pace pace)
    {
        using Progress progress = Pacer.Tell("connecting", _options.Connections, () => EverConnected);
        StallTimeout stall = Pacer.NewStallTimeout();
        for (int next = 0; next < _options.Connections && !Pacer.Stopped && !stall.HasExpired(next);)
        {
            long due = pace.Due(next);
            if (due > Stopwatch.GetTimestamp()) Pacer.Nap(due);
            else if (Clients.HasRoom) Clients.Open(next++);
            else Pacer.Nap();
        }

        Pacer.WaitUntil(() => !Clients.IsOpening, () => EverConnected);
    }
}
