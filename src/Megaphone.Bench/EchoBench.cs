using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>
/// <c>megaphone bench echo</c>: connections send messages to an echo. Either each sends its next message when the last one is
/// back, or messages leave at fixed times, one connection after the other, whether or not earlier ones are back.
/// </summary>
/// <remarks>
/// At a fixed rate a latency counts from when the message was due: a stall, on either side, shows in every message that it held up,
/// not just in the first.
/// </remarks>
internal sealed class EchoBench : TcpBench
{
    private readonly EchoBenchOptions _options;
    private readonly EchoClient[] _states;
    private readonly byte[] _message;
    private LatencyHistogram _latencies = new();
    private Schedule _schedule;
    private long _answered;
    private int _quiet;
    private volatile bool _playing;

    /// <summary>Reserves room for the connections; nothing is connected yet.</summary>
    public EchoBench(EchoBenchOptions options, RunContext context)
        : base("echo", options, context)
    {
        _options = options;
        _states = new EchoClient[options.Connections];
        _message = new byte[options.Bytes];
        _message.AsSpan().Fill((byte)'x');
    }

    private bool HasRate => _options.Rate > 0;

    private long Answered => Volatile.Read(ref _answered);

    /// <summary>Without a rate: connections whose last message is not back.</summary>
    private long Waiting => Math.Max(0, Open - Volatile.Read(ref _quiet));

    /// <inheritdoc/>
    protected override void Connect() => Connect(default);

    /// <inheritdoc/>
    protected override bool Play()
    {
        long began = Stopwatch.GetTimestamp();
        _schedule = new Schedule(began, _options.Rate);
        _playing = true;
        if (!HasRate) Begin();
        long sent = Play("warming up", _options.Time.WarmUp, began, 0);
        Driver.EndPhase("warmed up");

        // Without a warm-up all messages count, the first ones, which are under way already, too.
        LatencyHistogram latencies = _options.Time.WarmUp > TimeSpan.Zero ? new LatencyHistogram() : _latencies;
        Volatile.Write(ref _latencies, latencies);
        long counted = Stopwatch.GetTimestamp();
        sent = Play("playing", _options.Time.Counted, counted, sent);
        _playing = false;
        double took = Stopwatch.GetElapsedTime(counted).TotalSeconds;

        // At a fixed rate all messages that were sent in this time count, whenever they come back; else those that came back in it.
        if (!HasRate) Volatile.Write(ref _latencies, new LatencyHistogram());
        Driver.EndPhase("played");

        // A connection that was closed with an answer under way would be reset, and be a fault to the server.
        Func<long> missed = HasRate ? () => sent - Answered : () => Waiting;
        Driver.WaitUntil(() => missed() <= 0, () => Answered);

        long missing = missed();
        long answers = latencies.Count;
        Report.Add("connections", "connections", EverConnected);
        Report.Add("messages", "messages that came back", answers);
        Report.Add("messages_missing", "messages that did not", missing);
        Report.Add("seconds", "seconds", took, addsUp: false);
        Report.Add("messages_per_second", "messages per second", answers / took);
        Report.Add("message", "message", latencies);
        return missing == 0 && answers > 0;
    }

    /// <inheritdoc/>
    protected override void Handle(int index, ReadOnlySpan<byte> bytes)
    {
        ref EchoClient client = ref _states[index];
        client.Bytes += bytes.Length;
        for (; client.Bytes >= _message.Length; client.Bytes -= _message.Length)
        {
            // At a fixed rate the n-th answer on a connection belongs to the n-th message, whose time is known.
            long began = HasRate ? _schedule.Due(index + client.Answers * _states.Length) : client.SentAt;
            client.Answers++;
            Volatile.Read(ref _latencies).Add(Stopwatch.GetTimestamp() - began);
            Interlocked.Increment(ref _answered);
            if (HasRate) continue;
            if (_playing) Send(index);
            else Interlocked.Increment(ref _quiet);
        }
    }

    private void Begin()
    {
        for (int i = 0; i < _states.Length; i++) Send(i);
    }

    /// <returns>How many messages have been sent at a fixed rate by now.</returns>
    private long Play(string what, TimeSpan time, long began, long sent)
    {
        using Progress progress = Driver.ShowProgress(what, time);
        long end = began + (long)(time.TotalSeconds * Stopwatch.Frequency);
        while (!Driver.IsStopped && Stopwatch.GetTimestamp() < end)
        {
            long due = end;
            if (HasRate)
            {
                for (; (due = _schedule.Due(sent)) <= Stopwatch.GetTimestamp(); sent++) Send((int)(sent % _states.Length));
            }

            Driver.Pause(Math.Min(due, end));
        }

        return sent;
    }

    private void Send(int index)
    {
        _states[index].SentAt = Stopwatch.GetTimestamp();
        Clients.Send(index, _message);
    }
}
