using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>A run over TCP connections, which are not XMPP clients: opens them, runs what the mode does with them, and closes them.</summary>
internal abstract class TcpBench : IBench, ITcpHandler
{
    private readonly TcpBenchOptions _options;
    private readonly ProcessWatch _watch;
    private long _connected;
    private long _closed;
    private volatile bool _closing;

    /// <summary>Reserves room for the connections; nothing is connected yet.</summary>
    protected TcpBench(string mode, TcpBenchOptions options, RunContext context)
    {
        _options = options;
        Clients = new TcpClients(options.Tcp, options.Connections, this, LoginMachine.HeaderTo(options.Tcp.Tls?.ServerName ?? options.Tcp.To.Host));
        _watch = ProcessWatch.Of(options.Run, context, () => Open);
        Driver = new RunDriver(context, options.Run.Patience, _watch, Problems, Clients.Poll);
        Report = new BenchReport(mode, Problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    /// <summary>The connections.</summary>
    protected TcpClients Clients { get; }

    /// <summary>Drives the run.</summary>
    protected RunDriver Driver { get; }

    /// <summary>The run's problems.</summary>
    protected ProblemCounts Problems { get; } = new();

    /// <summary>Connections that were established, whether or not they still are.</summary>
    protected long EverConnected => Volatile.Read(ref _connected);

    /// <summary>Connections that are established now.</summary>
    protected long Open => EverConnected - Volatile.Read(ref _closed);

    /// <inheritdoc/>
    public bool Run()
    {
        PreciseSleep.Prepare();
        Clients.Start();
        Driver.EndPhase("before");
        Connect();
        Driver.EndPhase("connected");
        bool well = Play();
        _closing = true;
        Clients.Stop();
        Volatile.Write(ref _closed, _connected);
        Driver.EndPhase("after the end");
        Driver.KeepWatching(_options.Run.After);
        _watch.Dispose();
        return well && _connected == _options.Connections && Problems.Total == 0 && !Driver.IsStopped;
    }

    /// <inheritdoc/>
    public virtual void Connected(int index) => Interlocked.Increment(ref _connected);

    /// <inheritdoc/>
    public void Received(int index, Span<byte> bytes)
    {
        if (bytes.IsEmpty) Clients.EndWrite(index);
        else Handle(index, bytes);
    }

    /// <inheritdoc/>
    public void Closed(int index, bool wasConnected, string? reason)
    {
        if (_closing) return;
        if (wasConnected) Interlocked.Increment(ref _closed);
        Problems.Add(reason ?? "the server ended a connection");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        Clients.Dispose();
    }

    /// <summary>Opens the connections, or as many as possible.</summary>
    protected abstract void Connect();

    /// <summary>Does what the mode does with open connections, and adds its figures to the report.</summary>
    /// <returns>Whether it succeeded.</returns>
    protected abstract bool Play();

    /// <summary>Handles what a connection has received. Called by its reactor.</summary>
    protected abstract void Handle(int index, ReadOnlySpan<byte> bytes);

    /// <summary>Opens the connections, each when it is due.</summary>
    protected void Connect(Schedule schedule)
    {
        using Progress progress = Driver.ShowProgress("connecting", _options.Connections, () => EverConnected);
        StallTimeout stall = Driver.NewStallTimeout();
        for (int next = 0; next < _options.Connections && !Driver.IsStopped && !stall.HasExpired(next);)
        {
            long due = schedule.Due(next);
            if (due > Stopwatch.GetTimestamp()) Driver.Pause(due);
            else if (Clients.HasRoom) Clients.Open(next++);
            else Driver.Pause();
        }

        Driver.WaitUntil(() => Clients.Opening == 0, () => EverConnected);
        if (!Driver.IsStopped) Problems.Add("a connection was not established in time", Clients.Opening);
    }
}
