using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>
/// <c>megaphone bench echo</c>: connections send messages to an echo. Either each sends its next message when the last one is
/// back, or messages leave at fixed times, one connection after the other, whether or not earlier ones are back.
/// </summary>
/// <remarks>
/// At a fixed rate a latency counts from the time at which the message was to be sent: a stall, here or there, shows in every
/// message that it held up, not just in the one that met it.
/// </remarks>
internal sealed class EchoBench : IBench, ITcpHandler
{
    private readonly EchoBenchOptions _options;
    private readonly TcpClients _clients;
    private readonly Pacer _pacer;
    private readonly Tally _problems = new();
    private readonly ProcessWatch _watch;
    private readonly EchoClient[] _states;
    private readonly byte[] _message;
    private LatencyHistogram _latencies = new();
    private Pace _pace;
    private long _connected;
    private long _closed;
    private long _answered;
    private volatile bool _playing;
    private volatile bool _ending;

    /// <summary>Makes places for the connections; nothing is connected yet.</summary>
    public EchoBench(EchoBenchOptions options, RunContext context)
    {
        _options = options;
        _clients = new TcpClients(options.Tcp, options.Connections, this);
        _watch = ProcessWatch.Of(options.Run, context, () => Volatile.Read(ref _connected) - Volatile.Read(ref _closed));
        _pacer = new Pacer(context, options.Run.Patience, _watch, _problems, _clients.Poll);
        _states = new EchoClient[options.Connections];
        _message = new byte[options.Bytes];
        _message.AsSpan().Fill((byte)'x');
        Report = new BenchReport("echo", _problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    private bool HasRate => _options.Rate > 0;

    /// <inheritdoc/>
    public bool Run()
    {
        PunctualSleep.Prepare();
        _clients.Start();
        _pacer.Reach("before");
        Connect();
        _pacer.Reach("connected");

        long began = Stopwatch.GetTimestamp();
        _pace = new Pace(began, _options.Rate);
        _playing = true;
        if (!HasRate) Begin();
        long sent = Play("warming up", _options.WarmUp, began, 0);
        _pacer.Reach("warmed up");

        LatencyHistogram latencies = new();
        Volatile.Write(ref _latencies, latencies);
        long counted = Stopwatch.GetTimestamp();
        sent = Play("playing", _options.Time, counted, sent);
        _playing = false;
        double took = Stopwatch.GetElapsedTime(counted).TotalSeconds;

        // At a rate all that were sent in time count, whenever they come back; else those that came back in time.
        if (!HasRate) Volatile.Write(ref _latencies, new LatencyHistogram());
        _pacer.Reach("played");
        if (HasRate) _pacer.WaitUntil(() => Volatile.Read(ref _answered) >= sent, () => Volatile.Read(ref _answered));

        long missing = HasRate ? sent - Volatile.Read(ref _answered) : 0;
        _ending = true;
        _clients.Stop();
        Volatile.Write(ref _closed, _connected);
        _pacer.WaitOn(_options.Run.After);
        _watch.Dispose();
        long answers = latencies.Count;
        Report.Add("connections", "connections", _connected);
        Report.Add("messages", "messages that came back", answers);
        Report.Add("messages_missing", "messages that did not", missing);
        Report.Add("seconds", "seconds", took, addsUp: false);
        Report.Add("messages_per_second", "messages per second", answers / took);
        Report.Add("message", "message", latencies);
        return _connected == _options.Connections && missing == 0 && answers > 0 && _problems.Total == 0 && !_pacer.Stopped;
    }

    /// <inheritdoc/>
    public void Connected(int index) => Interlocked.Increment(ref _connected);

    /// <inheritdoc/>
    public void Received(int index, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            _clients.EndWrite(index);
            return;
        }

        ref EchoClient client = ref _states[index];
        client.Bytes += bytes.Length;
        for (; client.Bytes >= _message.Length; client.Bytes -= _message.Length)
        {
            // At a fixed rate the n-th answer on a connection belongs to the n-th message, whose time is known.
            long began = HasRate ? _pace.Due(index + client.Answers * _states.Length) : client.SentAt;
            client.Answers++;
            Volatile.Read(ref _latencies).Add(Stopwatch.GetTimestamp() - began);
            Interlocked.Increment(ref _answered);
            if (!HasRate && _playing) Send(index);
        }
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

    private void Connect()
    {
        using Progress progress = _pacer.Tell("connecting", _options.Connections, () => Volatile.Read(ref _connected));
        Patience patience = _pacer.NewPatience();
        for (int next = 0; next < _options.Connections && !_pacer.Stopped && !patience.IsOver(next);)
        {
            if (_clients.HasRoom) _clients.Open(next++);
            else _pacer.Nap();
        }

        _pacer.WaitUntil(() => !_clients.IsOpening, () => Volatile.Read(ref _connected));
    }

    private void Begin()
    {
        for (int i = 0; i < _states.Length; i++) Send(i);
    }

    /// <returns>How many messages have been sent at fixed times by now.</returns>
    private long Play(string what, TimeSpan time, long began, long sent)
    {
        using Progress progress = _pacer.Tell(what, time);
        long end = began + (long)(time.TotalSeconds * Stopwatch.Frequency);
        while (!_pacer.Stopped && Stopwatch.GetTimestamp() < end)
        {
            long due = end;
            if (HasRate)
            {
                for (; (due = _pace.Due(sent)) <= Stopwatch.GetTimestamp(); sent++) Send((int)(sent % _states.Length));
            }

            _pacer.Nap(Math.Min(due, end));
        }

        return sent;
    }

    private void Send(int index)
    {
        _states[index].SentAt = Stopwatch.GetTimestamp();
        _clients.Send(index, _message);
    }
}
