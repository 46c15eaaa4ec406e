using System.Diagnostics;

namespace Megaphone.Bench;

/// <summary>
/// <c>megaphone bench link</c> and <c>bench xmpp</c>: clients log in, stay, write to each other and leave. The calling
/// thread drives the run; what the server sends is handled on the thread that receives it.
/// </summary>
internal sealed class XmppBench : IBench
{
    /// <summary>Time between the last login and the first message, in which the server learns of each client's presence.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    /// <summary>Sessions opened, or messages sent, between two flushes.</summary>
    private const int Batch = 64;

    private readonly XmppClientOptions _options;
    private readonly RunOptions _run;
    private readonly XmppClients _clients;
    private readonly IXmppTransport _transport;
    private readonly RunDriver _driver;
    private readonly ProcessWatch _watch;

    /// <summary>Makes the clients; nothing is connected yet.</summary>
    /// <param name="mode">The name of the mode.</param>
    /// <param name="options">What the clients do.</param>
    /// <param name="run">The options that every measuring mode has.</param>
    /// <param name="transport">Makes what carries the clients.</param>
    /// <param name="context">Ends the run early.</param>
    public XmppBench(string mode, XmppClientOptions options, RunOptions run, Func<XmppClients, IXmppTransport> transport, RunContext context)
    {
        _options = options;
        _run = run;
        _clients = new XmppClients(new LoginMachine(options.Login), new SessionStore(options.Sessions), new ProblemCounts());
        _transport = transport(_clients);
        _watch = ProcessWatch.Of(run, context, () => _clients.Online);
        _driver = new RunDriver(context, run.Patience, _watch, _clients.Problems, _transport.Flush);
        Report = new BenchReport(mode, _clients.Problems, _watch);
    }

    /// <inheritdoc/>
    public BenchReport Report { get; }

    /// <inheritdoc/>
    public bool Run()
    {
        PreciseSleep.Prepare();
        _transport.Connect();
        _driver.EndPhase("before");
        LogIn();
        _driver.EndPhase("logged in");
        if (_options.Hold > TimeSpan.Zero)
        {
            Hold();
            _driver.EndPhase("after hold");
        }

        bool delivered = _options.Messages == 0 || Talk();
        if (!_options.Cut) CloseStreams();
        _transport.Disconnect(_options.Cut);
        _driver.EndPhase("after the end");
        _driver.KeepWatching(_run.After);
        _watch.Dispose();
        Report.Add("other_stanzas", "other stanzas received", _clients.OtherStanzas);
        _transport.AddTo(Report);
        return delivered && _clients.LoggedIn == _options.Sessions && _clients.Problems.Total == 0 && !_driver.IsStopped;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch.Dispose();
        _transport.Dispose();
        for (int i = 0; i < _options.Sessions; i++) _clients.Release(i);
        _clients.Sessions.Dispose();
    }

    private void LogIn()
    {
        long began = Stopwatch.GetTimestamp();
        using (_driver.ShowProgress("logging in", _options.Sessions, () => _clients.LoggedIn))
        {
            OpenAll(new Schedule(began, _options.Rate));
            _driver.WaitUntil(() => _clients.Pending == 0, () => _clients.LoggedIn + _clients.Failed);
        }

        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        if (!_driver.IsStopped)
        {
            TellPending();
            _clients.Problems.Add("a session was not opened", _options.Sessions - _clients.Opened);
        }

        Report.Add("sessions", "clients", _options.Sessions);
        Report.Add("logged_in", "logged in", _clients.LoggedIn);
        Report.Add("login_seconds", "seconds for that", took, addsUp: false);
        Report.Add("logins_per_second", "logins per second", _clients.LoggedIn / took);
        Report.Add("login", "login", _clients.Logins);
    }

    private void OpenAll(Schedule schedule)
    {
        StallTimeout stall = _driver.NewStallTimeout();
        for (int next = 0; next < _options.Sessions && !_driver.IsStopped && !stall.HasExpired(next + _clients.LoggedIn + _clients.Failed);)
        {
            long now = Stopwatch.GetTimestamp();
            long due = _options.Rate > 0 ? schedule.Due(next) : now;
            if (due > now || _clients.Pending >= _options.Pending)
            {
                _driver.Pause(due > now ? due : long.MaxValue);
            }
            else if (!_transport.TryOpen(next, due))
            {
                _transport.Flush();
                _transport.WaitForRoom(next);
            }
            else if (++next % Batch == 0)
            {
                _transport.Flush();
            }
        }
    }

    private void Hold()
    {
        // There is nobody to hold where all logins have failed.
        if (_clients.Online == 0) return;
        using Progress progress = _driver.ShowProgress("holding", _options.Hold);
        long began = Stopwatch.GetTimestamp();
        Schedule schedule = new(began, _options.KeepAlives);
        for (long sent = 0; !_driver.IsStopped && Stopwatch.GetElapsedTime(began) < _options.Hold; _driver.Pause())
        {
            while (_options.KeepAlives > 0 && schedule.Due(sent) <= Stopwatch.GetTimestamp())
            {
                int index = (int)(sent % _options.Sessions);
                if (_clients.Sessions[index].Phase == SessionPhase.Online && !_transport.TrySend(index, " "u8)) break;
                sent++;
            }
        }
    }

    /// <returns>Whether every message arrived, once and in order.</returns>
    private bool Talk()
    {
        int[] users = [.. Enumerable.Range(0, _options.Sessions).Where(index => _clients.Sessions[index].Phase == SessionPhase.Online)];
        if (users.Length == 0)
        {
            _clients.Problems.Add("a message was not sent, because nobody is logged in", _options.Messages);
            return false;
        }

        _driver.Wait(Settling);
        long began = Stopwatch.GetTimestamp();
        string? domain = _options.Login.Method == LoginMethod.None ? null : _options.Login.Domain;
        MessageTraffic traffic = new(
            users, _options.Messages, new Schedule(began, _options.MessageRate), _options.MessageBytes, domain, _options.Senders);
        _clients.Count(traffic);
        int sent;
        using (_driver.ShowProgress("messages arriving", _options.Messages, () => traffic.Arrived))
        {
            sent = Send(traffic);
            _driver.WaitUntil(() => traffic.Arrived + traffic.Refused >= sent, () => traffic.Arrived + traffic.Refused);
        }

        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        _driver.EndPhase("after messages");
        Report.Add("messages_sent", "messages sent", sent);
        Report.Add("messages_arrived", "messages arrived", traffic.Arrived);
        Report.Add("messages_lost", "messages lost", sent - traffic.Arrived - traffic.Refused);
        Report.Add("messages_doubled", "messages duplicated", traffic.Duplicates);
        Report.Add("messages_misplaced", "messages out of order", traffic.OutOfOrder);
        Report.Add("messages_stray", "messages nobody had sent", traffic.Unexpected);
        Report.Add("messages_per_second", "messages per second", traffic.Arrived / took);
        Report.Add("message", "message", traffic.Latencies);
        return traffic.Arrived == _options.Messages && traffic.Duplicates + traffic.OutOfOrder + traffic.Unexpected == 0;
    }

    /// <returns>How many messages were sent.</returns>
    private int Send(MessageTraffic traffic)
    {
        byte[] message = new byte[traffic.MaxBytes];
        StallTimeout stall = _driver.NewStallTimeout();
        int next = 0;
        while (next < traffic.Planned && !_driver.IsStopped && !stall.HasExpired(next + traffic.Arrived))
        {
            long due = traffic.Due(next);
            int sender = traffic.SenderOf(next);
            if (due > Stopwatch.GetTimestamp())
            {
                _driver.Pause(due);
            }
            else if (!_transport.TrySend(sender, message.AsSpan(0, traffic.Write(next, _clients.Sessions, message))))
            {
                _transport.Flush();
                _transport.WaitForRoom(sender);
            }
            else if (++next % Batch == 0)
            {
                _transport.Flush();
            }
        }

        _transport.Flush();
        return next;
    }

    private void CloseStreams()
    {
        if (_clients.Closed == _clients.Opened) return;
        long before = _clients.Closed;
        using Progress progress = _driver.ShowProgress("closing", _clients.Opened - before, () => _clients.Closed - before);
        StallTimeout stall = _driver.NewStallTimeout();
        long requested = 0;
        for (int next = 0; next < _options.Sessions && !stall.HasExpired(next + _clients.Closed);)
        {
            if (requested - (_clients.Closed - before) >= _options.Pending)
            {
                _driver.Pause();
                continue;
            }

            ref BenchSession session = ref _clients.Sessions[next];
            bool online = session.Phase == SessionPhase.Online;
            if (online || session.IsLoggingIn)
            {
                // A login that was never answered has no stream to be closed.
                session.EndRequested = true;
                if (!_transport.TrySend(next, online ? LoginMachine.ClosingTag : []))
                {
                    _transport.Flush();
                    _transport.WaitForRoom(next);
                    continue;
                }

                requested++;
            }

            if (++next % Batch == 0) _transport.Flush();
        }

        _transport.Flush();
        _driver.WaitUntil(() => _clients.Closed >= _clients.Opened, () => _clients.Closed, ending: true);
        _clients.Problems.Add("the server did not end a session", _clients.Opened - _clients.Closed);
    }

    private void TellPending()
    {
        for (int i = 0; i < _options.Sessions; i++)
        {
            SessionPhase phase = _clients.Sessions[i].Phase;
            if (_clients.Sessions[i].IsLoggingIn) _clients.Problems.Add($"a client waited in vain for {LoginMachine.Wanted(phase)}");
        }
    }
}
