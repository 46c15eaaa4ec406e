using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>
/// <c>megaphone bench link</c> and <c>bench xmpp</c>: clients log in, stay, write to each other and leave. The calling
/// thread sets the pace; what the server says is handled where it is received.
/// </summary>
internal sealed class XmppBench : IBench
{
    /// <summary>Between the last login and the first message: every client's presence is known by then.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    /// <summary>Sessions opened, or messages sent, before what they queued is flushed.</summary>
    private const int Batch = 64;

    private readonly string _mode;
    private readonly PlayOptions _options;
    private readonly RunOptions _run;
    private readonly XmppPlay _play;
    private readonly IXmppWire _wire;
    private readonly Pacer _pacer;
    private readonly ProcessWatch _watch;
    private readonly BenchReport _report;

    /// <summary>Makes the clients; nothing is connected yet.</summary>
    /// <param name="mode">What it is called.</param>
    /// <param name="options">What the clients do.</param>
    /// <param name="run">What every mode is told.</param>
    /// <param name="wire">Makes what carries them.</param>
    /// <param name="context">Ends it early.</param>
    public XmppBench(string mode, PlayOptions options, RunOptions run, Func<XmppPlay, IXmppWire> wire, RunContext context)
    {
        _mode = mode;
        _options = options;
        _run = run;
        _play = new XmppPlay(new LoginMachine(options.Login), new SessionStore(options.Sessions), new Tally());
        _wire = wire(_play);
        _watch = ProcessWatch.Of(run, context, () => _play.Online);
        _pacer = new Pacer(context, run.Patience, _watch, _play.Problems, _wire.Flush);
        _report = new BenchReport(_mode, _play.Problems, _watch);
    }

    /// <inheritdoc/>
    public bool Run()
    {
        PunctualSleep.Prepare();
        _wire.Connect();
        _pacer.Reach("before");
        LogIn();
        _pacer.Reach("logged in");
        if (_options.Hold > TimeSpan.Zero)
        {
            Hold();
            _pacer.Reach("after hold");
        }

        bool delivered = _options.Messages == 0 || Talk();
        if (!_options.Cut) CloseStreams();
        _wire.Disconnect(_options.Cut);
        _pacer.Reach("after the end");
        _pacer.WaitOn(_run.After);
        _watch.Dispose();
        _report.Add("other_stanzas", "other stanzas received", _play.OtherStanzas);
        _wire.Tell(_report);
        return delivered && _play.LoggedIn == _options.Sessions && _play.Problems.Total == 0 && !_pacer.Stopped;
    }

    /// <inheritdoc/>
    public BenchReport Report => _report;

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        _wire.Dispose();
        for (int i = 0; i < _options.Sessions; i++) _play.Release(i);
        _play.Sessions.Dispose();
    }

    private void LogIn()
    {
        long began = Stopwatch.GetTimestamp();
        using (_pacer.Tell("logging in", _options.Sessions, () => _play.LoggedIn))
        {
            OpenAll(new Pace(began, _options.Rate));
            _pacer.WaitUntil(() => _play.Pending == 0, () => _play.LoggedIn + _play.Failed);
        }

        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        if (!_pacer.Stopped)
        {
            TellPending();
            _play.Problems.Add("a session was not opened any more", _options.Sessions - _play.Opened);
        }

        _report.Add("sessions", "clients", _options.Sessions);
        _report.Add("logged_in", "logged in", _play.LoggedIn);
        _report.Add("login_seconds", "seconds for that", took, addsUp: false);
        _report.Add("logins_per_second", "logins per second", _play.LoggedIn / took);
        _report.Add("login", "login", _play.Logins);
    }

    private void OpenAll(Pace pace)
    {
        StallTimeout stall = _pacer.NewStallTimeout();
        for (int next = 0; next < _options.Sessions && !_pacer.Stopped && !stall.HasExpired(next + _play.LoggedIn + _play.Failed);)
        {
            long now = Stopwatch.GetTimestamp();
            long due = _options.Rate > 0 ? pace.Due(next) : now;
            if (due > now || _play.Pending >= _options.Pending)
            {
                _pacer.Nap(due > now ? due : long.MaxValue);
            }
            else if (!_wire.TryOpen(next, due))
            {
                _wire.Flush();
                _wire.WaitForRoom(next);
            }
            else if (++next % Batch == 0)
            {
                _wire.Flush();
            }
        }
    }

    private void Hold()
    {
        using Progress progress = _pacer.Tell("holding", _options.Hold);
        long began = Stopwatch.GetTimestamp();
        Pace pace = new(began, _options.KeepAlives);
        for (long sent = 0; !_pacer.Stopped && Stopwatch.GetElapsedTime(began) < _options.Hold; _pacer.Nap())
        {
            while (_options.KeepAlives > 0 && pace.Due(sent) <= Stopwatch.GetTimestamp())
            {
                int index = (int)(sent % _options.Sessions);
                if (_play.Sessions[index].Phase == SessionPhase.Online && !_wire.TrySend(index, " "u8)) break;
                sent++;
            }
        }
    }

    /// <returns>Whether every message arrived once and in its place.</returns>
    private bool Talk()
    {
        int[] users = [.. Enumerable.Range(0, _options.Sessions).Where(index => _play.Sessions[index].Phase == SessionPhase.Online)];
        if (users.Length == 0)
        {
            _play.Problems.Add("a message was not sent, as nobody is logged in", _options.Messages);
            return false;
        }

        _pacer.Wait(Settling);
        long began = Stopwatch.GetTimestamp();
        string? domain = _options.Login.Method == LoginMethod.None ? null : _options.Login.Domain;
        MessageTraffic traffic = new(
            users, _options.Messages, new Pace(began, _options.MessageRate), _options.MessageBytes, domain, _options.Senders);
        _play.Count(traffic);
        int sent;
        using (_pacer.Tell("messages arriving", _options.Messages, () => traffic.Arrived))
        {
            sent = Send(traffic);
            _pacer.WaitUntil(() => traffic.Arrived + traffic.Refused >= sent, () => traffic.Arrived + traffic.Refused);
        }

        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        _pacer.Reach("after messages");
        _report.Add("messages_sent", "messages sent", sent);
        _report.Add("messages_arrived", "messages arrived", traffic.Arrived);
        _report.Add("messages_lost", "messages lost", sent - traffic.Arrived - traffic.Refused);
        _report.Add("messages_doubled", "messages doubled", traffic.Doubled);
        _report.Add("messages_misplaced", "messages out of place", traffic.Misplaced);
        _report.Add("messages_stray", "messages that nobody was sent", traffic.Stray);
        _report.Add("messages_per_second", "messages per second", traffic.Arrived / took);
        _report.Add("message", "message", traffic.Latencies);
        return traffic.Arrived == _options.Messages && traffic.Doubled + traffic.Misplaced + traffic.Stray == 0;
    }

    /// <returns>How many messages were sent.</returns>
    private int Send(MessageTraffic traffic)
    {
        byte[] message = new byte[traffic.MaxBytes];
        StallTimeout stall = _pacer.NewStallTimeout();
        int next = 0;
        while (next < traffic.Planned && !_pacer.Stopped && !stall.HasExpired(next + traffic.Arrived))
        {
            long due = traffic.Due(next);
            int sender = traffic.SenderOf(next);
            if (due > Stopwatch.GetTimestamp())
            {
                _pacer.Nap(due);
            }
            else if (!_wire.TrySend(sender, message.AsSpan(0, traffic.Write(next, _play.Sessions, message))))
            {
                _wire.Flush();
                _wire.WaitForRoom(sender);
            }
            else if (++next % Batch == 0)
            {
                _wire.Flush();
            }
        }

        _wire.Flush();
        return next;
    }

    private void CloseStreams()
    {
        using Progress progress = _pacer.Tell("closing", _play.Opened, () => _play.Over);
        StallTimeout stall = _pacer.NewStallTimeout();
        long before = _play.Over;
        long said = 0;
        for (int next = 0; next < _options.Sessions && !stall.HasExpired(next + _play.Over);)
        {
            if (said - (_play.Over - before) >= _options.Pending)
            {
                _pacer.Nap();
                continue;
            }

            ref BenchSession session = ref _play.Sessions[next];
            bool online = session.Phase == SessionPhase.Online;
            if (online || session.IsLoggingIn)
            {
                // A login that was never answered has no stream to be closed.
                session.EndSaid = true;
                if (!_wire.TrySend(next, online ? LoginMachine.ClosingTag : []))
                {
                    _wire.Flush();
                    _wire.WaitForRoom(next);
                    continue;
                }

                said++;
            }

            if (++next % Batch == 0) _wire.Flush();
        }

        _wire.Flush();
        _pacer.WaitUntil(() => _play.Over >= _play.Opened, () => _play.Over, ending: true);
        _play.Problems.Add("the server did not end a session", _play.Opened - _play.Over);
    }

    private void TellPending()
    {
        for (int i = 0; i < _options.Sessions; i++)
        {
            SessionPhase phase = _play.Sessions[i].Phase;
            if (_play.Sessions[i].IsLoggingIn) _play.Problems.Add($"a client waited in vain for {LoginMachine.Wanted(phase)}");
        }
    }
}
