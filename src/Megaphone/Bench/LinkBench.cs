using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Sockets;
using Microsoft.Extensions.Logging.Abstractions;

namespace Megaphone.Bench;

/// <summary>
/// <c>megaphone bench link</c>: plays an ECM whose clients log in, stay, write to each other and leave. The calling thread
/// sets the pace; what the other side says is handled where the links receive it.
/// </summary>
internal sealed class LinkBench : IDisposable
{
    /// <summary>How long the pacer sleeps when it can do nothing.</summary>
    private static readonly TimeSpan Nap = TimeSpan.FromMilliseconds(1);

    /// <summary>How long links may take to connect, and again to be welcomed.</summary>
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Between the last login and the first message: every client's presence is known by then.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    /// <summary>Sessions opened, or messages sent, before what they queued is flushed.</summary>
    private const int Batch = 64;

    private readonly LinkBenchOptions _options;
    private readonly Interruption _interruption;
    private readonly RoleMetrics _metrics = new(Role.Ecm);
    private readonly Tally _problems = new();
    private readonly SessionStore _sessions;
    private readonly XmppPlay _play;
    private readonly LinkPlayer[] _players;
    private readonly ProcessWatch _watch;
    private readonly List<Task> _links = [];

    /// <summary>Makes the clients; nothing is connected yet.</summary>
    public LinkBench(LinkBenchOptions options, Interruption interruption)
    {
        _options = options;
        _interruption = interruption;
        _sessions = new SessionStore(options.Sessions);
        _play = new XmppPlay(new LoginMachine(options.Login), _sessions, _problems);
        _players = new LinkPlayer[options.Links];
        for (int i = 0; i < _players.Length; i++) _players[i] = new LinkPlayer(_play, i, options.Links);
        _watch = new ProcessWatch(options.Watch, () => _play.Online);
    }

    /// <summary>Runs all of it.</summary>
    /// <returns>The result, and whether everything went well.</returns>
    /// <exception cref="IOException">There is no link.</exception>
    public (BenchReport Report, bool Well) Run()
    {
        PunctualSleep.Prepare();
        Connect();
        _watch.Mark("before");
        BenchReport report = new("link", _problems, _watch);

        long began = Stopwatch.GetTimestamp();
        LogIn(began);
        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        _watch.Mark("logged in");
        report.Add("sessions", "clients", _options.Sessions);
        report.Add("logged_in", "logged in", _play.LoggedIn);
        report.Add("login_seconds", "seconds for that", took);
        report.Add("logins_per_second", "logins per second", _play.LoggedIn / took);
        report.Add("login", "login", _play.Logins);

        if (_options.Hold > TimeSpan.Zero)
        {
            Hold();
            _watch.Mark("after hold");
        }

        bool delivered = _options.Messages == 0 || Talk(report);
        End();
        _watch.Mark("after the end");
        if (_options.After > TimeSpan.Zero)
        {
            using Progress progress = SecondsProgress("watching on", _options.After);
            WaitUntil(() => false, () => 0, _options.After);
            _watch.Mark("later");
        }

        _watch.Dispose();
        report.Add("pauses", "pauses asked for by the other side", _players.Sum(player => player.Pauses));
        report.Add("other_stanzas", "other stanzas received", _play.OtherStanzas);
        report.Add("packets_out", "packets sent", _metrics.PacketsOut);
        report.Add("packets_in", "packets received", _metrics.PacketsIn);
        return (report, delivered && _play.LoggedIn == _options.Sessions && _problems.Total == 0 && !_interruption.Happened);
    }

    /// <summary>Releases everything. The links must be down.</summary>
    public void Dispose()
    {
        _watch.Dispose();
        foreach (LinkPlayer player in _players) player.Dispose();
        for (int i = 0; i < _sessions.Count; i++) _play.Release(i);
        _sessions.Dispose();
    }

    private void Connect()
    {
        LinkOptions options = new() { Name = $"bench {Environment.ProcessId}", Secret = _options.Secret, Framing = _options.Framing };
        LinkLog log = new(NullLogger<Link>.Instance);
        foreach (LinkPlayer player in _players)
        {
            Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
            Link link;
            try
            {
                using CancellationTokenSource timeout = new(ConnectTimeout);
                socket.ConnectAsync(_options.To.Host, _options.To.Port, timeout.Token).AsTask().GetAwaiter().GetResult();
                link = new Link(socket, LinkPhase.AwaitingWelcome, options, player, _metrics, log);
            }
            catch (Exception failure) when (failure is SocketException or OperationCanceledException)
            {
                socket.Dispose();
                string reason = failure is SocketException ? failure.Message : $"no connection within {ConnectTimeout.TotalSeconds:0} s";
                throw new IOException($"no link to {_options.To}: {reason}", failure);
            }

            Task running = link.RunAsync(ConnectTimeout);
            _links.Add(running);
            Task.WhenAny(player.WhenUp, running).GetAwaiter().GetResult();
            if (!player.WhenUp.IsCompletedSuccessfully) throw new IOException($"no link to {_options.To}: {link.CloseReason}");
        }
    }

    private void LogIn(long began)
    {
        using Progress progress = new("logging in", _options.Sessions, () => _play.LoggedIn, _problems);
        Pace pace = new(began, _options.Rate);
        Patience patience = new(_options.Patience);
        for (int next = 0; next < _options.Sessions;)
        {
            if (_interruption.Happened || patience.IsOver(next + _play.LoggedIn + _play.Failed)) break;
            long due = _options.Rate > 0 ? pace.Due(next) : Stopwatch.GetTimestamp();
            if (_play.Pending < _options.Pending && due <= Stopwatch.GetTimestamp())
            {
                LinkPlayer player = PlayerOf(next);
                if (TryOpen(player, next, due))
                {
                    if (++next % Batch == 0) player.Flush();
                    continue;
                }

                Flush();
                player.WaitForRoom(Nap);
            }
            else
            {
                Flush();
                PunctualSleep.Until(Math.Max(due, Stopwatch.GetTimestamp() + Stopwatch.Frequency / 1000), Nap);
            }
        }

        WaitUntil(() => _play.Pending == 0, () => _play.LoggedIn + _play.Failed, _options.Patience);
        if (_play.Pending > 0 && !_interruption.Happened) TellPending();
        _problems.Add("sessions were not opened any more", _interruption.Happened ? 0 : _options.Sessions - _play.Opened);
    }

    /// <returns>False when the link has no room now.</returns>
    private bool TryOpen(LinkPlayer player, int index, long scheduled)
    {
        if (player.Current is not { Draining: false } link)
        {
            _play.Open(index, scheduled);
            _play.Lose(index, player.Current is null ? "a session's link was gone before it was opened" : "a session's link was draining before it was opened");
            return true;
        }

        Span<byte> proxy = stackalloc byte[ProxyHeader.MaxBytes];
        int length = _options.Proxy == ProxyMode.None ? 0 : ProxyHeader.Write(proxy, _options.Proxy, AddressOf(index), ListenerAddress);
        ref BenchSession session = ref _sessions[index];
        if (!link.TryAcquire(ProxyHeader.MaxBytes + _play.Header.Length)) return false;
        link.Return(ProxyHeader.MaxBytes + _play.Header.Length);
        _play.Open(index, scheduled);
        return length == 0 ? player.TrySend(index, _play.Header) : player.TrySend(index, proxy[..length], _play.Header);
    }

    private void Hold()
    {
        using Progress progress = SecondsProgress("holding", _options.Hold);
        long began = Stopwatch.GetTimestamp();
        Pace pace = new(began, _options.KeepAlives);
        long sent = 0;
        while (!_interruption.Happened && Stopwatch.GetElapsedTime(began) < _options.Hold)
        {
            while (_options.KeepAlives > 0 && pace.Due(sent) <= Stopwatch.GetTimestamp())
            {
                int index = (int)(sent % _options.Sessions);
                if (_sessions[index].Phase == SessionPhase.Online && !PlayerOf(index).TrySend(index, " "u8)) break;
                sent++;
            }

            Flush();
            PunctualSleep.Until(long.MaxValue, Nap);
        }
    }

    /// <returns>Whether every message arrived once and in its place.</returns>
    private bool Talk(BenchReport report)
    {
        int[] users = [.. Enumerable.Range(0, _options.Sessions).Where(index => _sessions[index].Phase == SessionPhase.Online)];
        if (users.Length == 0)
        {
            _problems.Add("messages were not sent, as nobody is logged in", _options.Messages);
            return false;
        }

        WaitUntil(() => false, () => 0, Settling);
        long began = Stopwatch.GetTimestamp();
        string? domain = _options.Login.Method == LoginMethod.None ? null : _options.Login.Domain;
        MessageTraffic traffic = new(users, _options.Messages, new Pace(began, _options.MessageRate), _options.MessageBytes, domain);
        _play.Count(traffic);
        int sent;
        using (new Progress("messages arriving", _options.Messages, () => traffic.Arrived, _problems))
        {
            sent = Send(traffic);
            WaitUntil(() => traffic.Arrived + traffic.Refused >= sent, () => traffic.Arrived + traffic.Refused, _options.Patience);
        }

        double took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        _watch.Mark("after messages");
        long lost = sent - traffic.Arrived - traffic.Refused;
        report.Add("messages_sent", "messages sent", sent);
        report.Add("messages_arrived", "messages arrived", traffic.Arrived);
        report.Add("messages_lost", "messages lost", lost);
        report.Add("messages_doubled", "messages doubled", traffic.Doubled);
        report.Add("messages_misplaced", "messages out of place", traffic.Misplaced);
        report.Add("messages_stray", "messages that nobody was sent", traffic.Stray);
        report.Add("messages_per_second", "messages per second", traffic.Arrived / took);
        report.Add("message", "message", traffic.Latencies);
        return traffic.Arrived == _options.Messages && traffic.Doubled + traffic.Misplaced + traffic.Stray == 0;
    }

    private int Send(MessageTraffic traffic)
    {
        Span<byte> message = stackalloc byte[traffic.MaxBytes];
        Patience patience = new(_options.Patience);
        int next = 0;
        while (next < traffic.Planned && !_interruption.Happened && !patience.IsOver(next + traffic.Arrived))
        {
            long due = traffic.Due(next);
            if (due > Stopwatch.GetTimestamp())
            {
                Flush();
                PunctualSleep.Until(due, Nap);
                continue;
            }

            int sender = traffic.SenderOf(next);
            LinkPlayer player = PlayerOf(sender);
            if (!player.TrySend(sender, message[..traffic.Write(next, _sessions, message)]))
            {
                Flush();
                player.WaitForRoom(Nap);
                continue;
            }

            if (++next % Batch == 0) Flush();
        }

        Flush();
        return next;
    }

    private void End()
    {
        foreach (LinkPlayer player in _players) player.LossIsMeant = _options.Cut;
        if (!_options.Cut) CloseStreams();

        foreach (LinkPlayer player in _players) player.LossIsMeant = true;
        using CancellationTokenSource deadline = new(ConnectTimeout);
        Task[] drains = [.. _players.Select(player => player.Current).OfType<Link>().Select(link =>
        {
            if (!_options.Cut) return link.DrainAsync(deadline.Token);
            link.Close("cut");
            return Task.CompletedTask;
        })];
        Task.WaitAll(drains);
        Task.WaitAll([.. _links]);
    }

    private void CloseStreams()
    {
        using Progress progress = new("closing", _play.Opened, () => _play.Over, _problems);
        Patience patience = new(_options.Patience);
        for (int next = 0; next < _options.Sessions && !patience.IsOver(next + _play.Over);)
        {
            ref BenchSession session = ref _sessions[next];
            LinkPlayer player = PlayerOf(next);
            bool online = session.Phase == SessionPhase.Online;
            if (session.IsLoggingIn || online)
            {
                // A login that was never answered has no stream to be closed.
                session.EndSaid = true;
                if (!player.TrySend(next, online ? LoginMachine.ClosingTag : []))
                {
                    Flush();
                    player.WaitForRoom(Nap);
                    continue;
                }
            }

            if (++next % Batch == 0) player.Flush();
        }

        WaitUntil(() => _play.Over >= _play.Opened, () => _play.Over, _options.Patience);
        _problems.Add("the server did not end a session", _play.Opened - _play.Over);
    }

    private void TellPending()
    {
        for (int i = 0; i < _options.Sessions; i++)
        {
            SessionPhase phase = _sessions[i].Phase;
            if (_sessions[i].IsLoggingIn) _problems.Add($"a client waited in vain for {LoginMachine.Wanted(phase)}");
        }
    }

    /// <summary>Waits until something is done, or <paramref name="count"/> has not grown for too long.</summary>
    private void WaitUntil(Func<bool> done, Func<long> count, TimeSpan longest)
    {
        Patience patience = new(longest);
        while (!done() && !_interruption.Happened && !patience.IsOver(count()))
        {
            Flush();
            PunctualSleep.Until(long.MaxValue, Nap);
        }
    }

    private void Flush()
    {
        foreach (LinkPlayer player in _players) player.Flush();
    }

    private LinkPlayer PlayerOf(int index) => _players[index % _players.Length];

    private Progress SecondsProgress(string what, TimeSpan time)
    {
        long began = Stopwatch.GetTimestamp();
        return new Progress(what, (long)time.TotalSeconds, () => (long)Stopwatch.GetElapsedTime(began).TotalSeconds, _problems);
    }

    /// <summary>Where a client would come from: an address of its own within 10.0.0.0/8.</summary>
    private static NativeAddress AddressOf(int index) =>
        new(new IPEndPoint(new IPAddress([10, (byte)((index + 1) >> 16), (byte)((index + 1) >> 8), (byte)(index + 1)]), 50_000));

    private static NativeAddress ListenerAddress { get; } = new(new IPEndPoint(IPAddress.Loopback, 5222));
}
