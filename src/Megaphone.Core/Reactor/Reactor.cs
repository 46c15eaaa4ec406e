using Megaphone.Handover;
using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>One thread that waits for one epoll instance and serves the connections of one table.</summary>
/// <remarks>
/// It alone reads and closes (<see cref="ConnectionMachine{TState}"/>). Any thread may send, end, pause and abort
/// (<see cref="ConnectionRequests{TState}"/>).
/// </remarks>
internal sealed unsafe class Reactor<TState> : IDisposable
    where TState : unmanaged
{
    /// <summary>Data of the mailbox in epoll; connection ids are above 2^32, listeners count from 1.</summary>
    private const ulong MailboxData = 0;
    private const int EventBatch = 256;

    /// <summary>For how long, in milliseconds, a drain waits at its end for the rest of what connections have been sent a part of.</summary>
    private const int LongestWaitForTheRest = 2000;

    private readonly IConnectionHandler<TState> _handler;
    private readonly IAcceptHandler<TState>? _accepted;
    private readonly ReactorOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly string _name;
    private readonly Epoll _epoll = new();
    private readonly Mailbox _mailbox = new();
    private readonly Listeners _listeners;
    private readonly ConnectionTable<TState> _table;
    private readonly OutgoingConnects<TState>? _outgoing;
    private readonly ConnectionOutput<TState> _output;
    private readonly ConnectionMachine<TState> _machine;
    private readonly Arrivals<TState> _arrivals;
    private readonly Sweep _sweep;
    private readonly Sweep _drain = new(double.PositiveInfinity);
    private readonly Sweep _look = new(double.PositiveInfinity);
    private readonly Sweep _kick = new(double.PositiveInfinity);
    private long _lookAt;
    private Thread? _thread;
    private volatile bool _isDraining;
    private TimeSpan _drainOver;
    private double _drainShare;
    private bool _drainWaits;
    private long _drainEnd;
    private bool _isOneLeft;

    /// <summary>Makes the reactor; <see cref="Start"/> starts its thread.</summary>
    /// <param name="index">Its number in the group.</param>
    /// <param name="capacity">The connections it may hold.</param>
    /// <param name="handler">What is done with connections.</param>
    /// <param name="accepted">What is done with those that are accepted; null: there are none.</param>
    /// <param name="outgoing">What is done with those that it opens itself; null: there are none.</param>
    /// <param name="options">How they are treated.</param>
    /// <param name="metrics">Where buffered bytes and pauses are counted.</param>
    /// <exception cref="IOException">There are no descriptors for it, or no address space.</exception>
    public Reactor(
        int index, int capacity, IConnectionHandler<TState> handler, IAcceptHandler<TState>? accepted, IConnectHandler<TState>? outgoing,
        ReactorOptions options, RoleMetrics metrics)
    {
        (_handler, _accepted, _options) = (handler, accepted, options);
        _listeners = new Listeners(_epoll);
        _table = new ConnectionTable<TState>(index, capacity, (first, count) => handler.OnSlotsGivenBack(index, first, count));
        _sweep = new Sweep(options.CloseRate == 0 ? double.PositiveInfinity : (double)options.CloseRate / options.Reactors);
        EpollInterest interest = new(_epoll);
        ConnectionOutput<TState> output = _output = new(_table, handler, interest, options.Buffers, metrics);
        _outgoing = outgoing is null ? null : new OutgoingConnects<TState>(_table, outgoing, interest, options, capacity);
        _arrivals = new Arrivals<TState>(options.AdmitTimeout, _table, capacity, _mailbox);
        TlsInput<TState> tls = new(_table, output, options.Buffers, metrics);
        ConnectionInput<TState> input = new(_table, handler, interest, _arrivals, tls);
        _machine = new ConnectionMachine<TState>(
            _table, capacity, handler, _outgoing, input, output, interest, _mailbox, options.HalfOpenTimeout);
        Survey = new ConnectionSurvey<TState>(_table);
        Connections = new ConnectionRequests<TState>(_table, accepted, _outgoing, output, interest, _arrivals, _mailbox);
        _name = $"{options.Name} {index}";
        _metrics = metrics;

        // Not at once, so that reloads in a row do not look twice at what they have interrupted.
        _lookAt = Environment.TickCount64 + (long)options.LookInterval.TotalMilliseconds;
        _epoll.Add(_mailbox.Descriptor, Libc.EpollIn, MailboxData);
    }

    /// <summary>What any thread may do to its connections.</summary>
    public ConnectionRequests<TState> Connections { get; }

    /// <summary>Looks at its connections.</summary>
    public ConnectionSurvey<TState> Survey { get; }

    /// <summary>Connections it holds now.</summary>
    public int Count => _table.Count;

    /// <summary>Starts the thread, unless it runs; once more after <see cref="Stop"/>.</summary>
    public void Start()
    {
        if (_thread is { IsAlive: true }) return;
        _thread = new Thread(Run, 256 << 10) { Name = _name, IsBackground = true };
        _thread.Start();
    }

    /// <summary>Writes everything of its connections, and hands over their descriptors and the epoll instance that watches them. It does not
    /// run.</summary>
    /// <exception cref="StateException">Something cannot be handed over.</exception>
    public void Save(StateWriter writer, IStateKeeper<TState> keeper)
    {
        writer.WriteDescriptor(_epoll.Descriptor);
        _table.Save(writer, keeper);
        _machine.Waiting.HalfOpen.Save(writer);
        _machine.Waiting.Stalled.Save(writer);
        _outgoing?.Save(writer);
    }

    /// <summary>Reads what <see cref="Save"/> has written, before <see cref="Start"/>.</summary>
    /// <param name="reader">The state.</param>
    /// <param name="keeper">Reads what the handler keeps.</param>
    /// <param name="listeners">The listeners that were handed over: whoever gets one has it watched anew.</param>
    /// <exception cref="StateException">It cannot be.</exception>
    /// <exception cref="IOException">The epoll instance cannot be used.</exception>
    public void Restore(StateReader reader, IStateKeeper<TState> keeper, IEnumerable<int> listeners)
    {
        int epoll = reader.ReadDescriptor("an epoll instance");
        (long buffered, long memory) = _table.Restore(reader, keeper);
        _machine.Waiting.HalfOpen.Restore(reader);
        _machine.Waiting.Stalled.Restore(reader);
        _outgoing?.Restore(reader);
        _epoll.Adopt(epoll);
        if (_epoll.Add(_mailbox.Descriptor, Libc.EpollIn, MailboxData) is not 0 and int error)
            throw new IOException($"a reactor cannot be woken: {Libc.Describe(error)}");
        foreach (int listener in listeners) _epoll.Remove(listener);
        _arrivals.AddAll();
        _output.CountAllTls();
        _metrics.AddBuffered(buffered);
        _metrics.AddBufferMemory(memory);

        // What others had posted is lost with them: everything is looked at once.
        Mailbox.Requests ofAccepted = _accepted is null ? Mailbox.Requests.None : Mailbox.Requests.Sweep | Mailbox.Requests.Kick;
        _mailbox.Post(Mailbox.Requests.UpdateAll | Mailbox.Requests.ReleaseStalled | ofAccepted);
    }

    /// <summary>Has this reactor accept clients from a listener. To be called before <see cref="Start"/>.</summary>
    /// <param name="acceptor">The listener, which is the reactor's from here on.</param>
    /// <param name="accepted">Gets each client; the same for all listeners.</param>
    public void Listen(Acceptor acceptor, Acceptor.Accepted accepted) => _listeners.Add(acceptor, accepted);

    /// <summary>Asks the handler again about everything that it had no room for. Any thread.</summary>
    public void ReleaseStalled() => _mailbox.Post(Mailbox.Requests.ReleaseStalled);

    /// <summary>Closes all connections for which the handler has a reason, at the configured rate. Any thread.</summary>
    public void Sweep() => _mailbox.Post(Mailbox.Requests.Sweep);

    /// <summary>Whether a drain is under way.</summary>
    public bool IsDraining => _isDraining;

    /// <summary>Closes all connections for which the handler has a reason, evenly within a time. The handler takes no more of them. Any thread;
    /// the last call counts.</summary>
    /// <param name="over">The time; zero: at once.</param>
    /// <param name="waits">Whether one that has been sent a part of something waits for the rest, until a little after that time.</param>
    /// <param name="share">The part of all connections for which the handler has a reason, about.</param>
    public void Drain(TimeSpan over, bool waits, double share = 1)
    {
        (_drainOver, _drainWaits, _drainShare) = (over, waits, share);
        _isDraining = true;
        _mailbox.Post(Mailbox.Requests.Drain);
    }

    /// <summary>Gives up a drain: those whom it has not closed stay. Any thread.</summary>
    public void EndDrain() => _isDraining = false;

    /// <summary>Closes all connections that are marked with <see cref="ConnectionFlags.Kicked"/>, in turns. Any thread.</summary>
    public void CloseKicked() => _mailbox.Post(Mailbox.Requests.Kick);

    /// <summary>Closes the listeners. Any thread.</summary>
    public void StopAccepting() => _mailbox.Post(Mailbox.Requests.StopAccepting);

    /// <summary>Ends the thread after the work at hand, and waits for it. Connections are left as they are.</summary>
    public void Stop()
    {
        _mailbox.Post(Mailbox.Requests.Stop);
        if (_thread is { IsAlive: true }) _thread.Join();
    }

    /// <summary>Closes what is left. The thread must have ended, and no other thread may use the reactor any more.</summary>
    public void Dispose()
    {
        _machine.Dispose();
        _outgoing?.Dispose();
        _arrivals.Dispose();
        _listeners.Dispose();
        _epoll.Dispose();
        _mailbox.Dispose();
        _table.Dispose();
    }

    /// <summary>What is wrong with the flags of one of its connections; null: nothing. Any thread. For tests.</summary>
    public string? FindViolation()
    {
        for (int index = 0; index < _table.Used; index++)
        {
            ref ConnectionSlot slot = ref _table.Slot(index);
            slot.Enter();
            string? violation = slot.FindViolation();
            string state = $"{slot.Flags}, descriptor {slot.Descriptor}";
            slot.Exit();
            if (violation is not null) return $"{violation}: {state}";
        }

        return null;
    }

    private void Run()
    {
        EpollEvent* events = stackalloc EpollEvent[EventBatch];
        EventCoalescing coalescing = default;
        long now = Environment.TickCount64;
        while (true)
        {
            int count = _epoll.Wait(events, EventBatch, UntilDue(now));
            bool hasMail = false;
            for (int i = 0; i < count; i++)
            {
                ulong data = events[i].Data;
                if (data > uint.MaxValue) _machine.HandleEvents(new ConnectionId(data), events[i].Events);
                else if (data == MailboxData) hasMail = true;
                else _listeners.Accept((int)data);
            }

            if (hasMail && !HandleMail())
            {
                _handler.OnBatchEnd();
                return;
            }

            now = Environment.TickCount64;
            _machine.HandleOverdue(now);
            while (_arrivals.TryTakeLate(now, out ConnectionId id)) _machine.CloseFor(_accepted!, id.Slot, CloseOccasion.Late, mayWait: false);
            if (_sweep.TryBeginTurn(now)) SweepOn();
            if (_drain.TryBeginTurn(now)) DrainOn(now);
            if (_kick.TryBeginTurn(now)) KickOn();
            if (UntilLook(now) == 0) BeginLook(now);
            if (_look.TryBeginTurn(now)) LookOn();
            _listeners.ResumeIfDue(now);
            _handler.OnBatchEnd();
            if (_options.CoalescesEvents && coalescing.ShouldDelayAfter(count, now)) Libc.Sleep(EventCoalescing.DelayMicroseconds);
        }
    }

    /// <summary>Does what other threads posted.</summary>
    /// <returns>False when the reactor is to stop.</returns>
    private bool HandleMail()
    {
        Mailbox.Requests requests = _mailbox.Take(out ReadOnlySpan<ConnectionId> updates);
        if (requests.HasFlag(Mailbox.Requests.UpdateAll)) _machine.ReconcileAll();
        else foreach (ConnectionId id in updates) _machine.Reconcile(id);
        _mailbox.Clear();

        if (requests.HasFlag(Mailbox.Requests.StopAccepting)) _listeners.Dispose();
        if (requests.HasFlag(Mailbox.Requests.Sweep)) _sweep.Begin(Environment.TickCount64);
        if (requests.HasFlag(Mailbox.Requests.Drain)) BeginDrain(Environment.TickCount64);
        if (requests.HasFlag(Mailbox.Requests.Kick)) _kick.Begin(Environment.TickCount64);
        if (requests.HasFlag(Mailbox.Requests.ReleaseStalled)) _machine.RetryStalled();
        return !requests.HasFlag(Mailbox.Requests.Stop);
    }

    private void SweepOn()
    {
        while (_sweep.TryNext(_table.Used, out int index))
        {
            if (_machine.CloseFor(_accepted!, index, CloseOccasion.Sweep, mayWait: false) is true) _sweep.CountClosed();
        }
    }

    private void KickOn()
    {
        while (_kick.TryNext(_table.Used, out int index))
        {
            if (!_table.Slot(index).Is(ConnectionFlags.Kicked)) continue;
            if (_machine.CloseFor(_accepted!, index, CloseOccasion.Kick, mayWait: false) is true) _kick.CountClosed();
        }
    }

    private void BeginLook(long now)
    {
        _lookAt = now + (long)_options.LookInterval.TotalMilliseconds;
        _look.Begin(now);
    }

    private void LookOn()
    {
        while (_look.TryNext(_table.Used, out int index))
        {
            // One from whom nothing is received at present cannot finish anything.
            if (!_table.Slot(index).MayRead) continue;
            if (_machine.CloseFor(_accepted!, index, CloseOccasion.Look, mayWait: false) is true) _look.CountClosed();
        }
    }

    private int UntilLook(long now) =>
        _options.LookInterval == TimeSpan.Zero || !_accepted!.HasUnfinished ? int.MaxValue : (int)Math.Max(0, _lookAt - now);

    private void BeginDrain(long now)
    {
        double all = Math.Max(1, _table.Count * _drainShare);
        _drain.ClosesPerSecond = _drainOver > TimeSpan.Zero ? all / _drainOver.TotalSeconds : double.PositiveInfinity;
        _drainEnd = now + (long)_drainOver.TotalMilliseconds + LongestWaitForTheRest;
        _isOneLeft = false;
        _drain.Begin(now);
    }

    private void DrainOn(long now)
    {
        if (!_isDraining)
        {
            _drain.End();
            return;
        }

        bool mayWait = _drainWaits && now < _drainEnd;
        while (_drain.TryNext(_table.Used, out int index))
        {
            bool? isClosed = _machine.CloseFor(_accepted!, index, CloseOccasion.Drain, mayWait);
            if (isClosed is true) _drain.CountClosed();
            _isOneLeft |= isClosed is null;
        }

        if (_drain.IsRunning) return;
        if (_isOneLeft) _drain.Begin(now, isAgain: true);
        else _isDraining = false;
        _isOneLeft = false;
    }

    /// <summary>How long epoll may wait, in milliseconds; -1: for ever, as nothing is due.</summary>
    private int UntilDue(long now)
    {
        int until = Math.Min(Math.Min(_machine.UntilDeadline(now), _arrivals.UntilNext(now)), _listeners.UntilResume(now));
        until = Math.Min(until, Math.Min(_sweep.UntilNextTurn, _drain.UntilNextTurn));
        until = Math.Min(until, Math.Min(_look.UntilNextTurn, UntilLook(now)));
        until = Math.Min(until, Math.Min(_kick.UntilNextTurn, _listeners.UntilLook));
        return until == int.MaxValue ? -1 : until;
    }
}
