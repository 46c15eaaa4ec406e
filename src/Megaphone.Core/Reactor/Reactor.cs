using System.Runtime.InteropServices;
using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>One thread that waits for one epoll instance and serves the connections of one table.</summary>
/// <remarks>
/// It alone reads and closes. Any thread may send, end, pause and abort: those take the gate of the connection's slot,
/// act on the descriptor straight away, and leave what only the reactor may do to it through <see cref="Attend"/>.
/// </remarks>
internal sealed unsafe partial class Reactor<TState> : IConnectionInput, IDisposable
{
    /// <summary>Data of the waker in epoll; connection ids are above 2^32, listeners count from 1.</summary>
    private const ulong WakerData = 0;
    private const int EventBatch = 256;
    private const int ReceiveBufferBytes = 64 << 10;
    private const int RestMilliseconds = 100;
    private const int SweepInterval = 20;
    private const int SweepStep = 256;

    private readonly IConnectionHandler<TState> _handler;
    private readonly IAcceptHandler<TState>? _accepted;
    private readonly IConnectHandler<TState>? _outgoing;
    private readonly ReactorOptions _options;
    private readonly RoleMetrics _metrics;
    private readonly ConnectionTable<TState> _table;
    private readonly Epoll _epoll = new();
    private readonly Waker _waker = new();
    private readonly DeadlineQueue _halfOpen;
    private readonly DeadlineQueue _connecting;
    private readonly StalledQueue<TState> _stalled;
    private readonly Lock _postLock = new();
    private readonly List<Acceptor> _acceptors = [];
    private readonly Thread _thread;
    private readonly byte* _receiveBuffer = (byte*)NativeMemory.Alloc(ReceiveBufferBytes);
    private readonly SealedInput _sealed = new();
    private Reading _reading;
    private AcceptedClient? _accept;
    private readonly double _sweepQuotaPerMillisecond;
    private PostedIds _posted = new();
    private PostedIds _attending = new();
    private bool _allPosted;
    private bool _releasePosted;
    private bool _sweepPosted;
    private bool _stopAcceptingPosted;
    private bool _stopPosted;
    private int _sweepCursor = -1;
    private double _sweepQuota;
    private long _sweptAt;
    private long _acceptAgainAt;

    /// <summary>Makes the reactor; <see cref="Start"/> starts its thread.</summary>
    /// <param name="index">Its number in the group.</param>
    /// <param name="capacity">The connections it may hold.</param>
    /// <param name="handler">What is done with connections.</param>
    /// <param name="accepted">What is done with those that are accepted; null: there are none.</param>
    /// <param name="outgoing">What is done with those that <see cref="TryConnect"/> makes; null: there are none.</param>
    /// <param name="options">How they are treated.</param>
    /// <param name="metrics">Where buffered bytes, pauses and refusals are counted.</param>
    public Reactor(
        int index, int capacity, IConnectionHandler<TState> handler, IAcceptHandler<TState>? accepted, IConnectHandler<TState>? outgoing,
        ReactorOptions options, RoleMetrics metrics)
    {
        _handler = handler;
        _accepted = accepted;
        _outgoing = outgoing;
        _options = options;
        _metrics = metrics;
        _table = new ConnectionTable<TState>(index, capacity);
        _stalled = new StalledQueue<TState>(_table);
        _halfOpen = new DeadlineQueue(options.HalfOpenTimeout, capacity, (id, _) => _table.IsThere(id));
        _connecting = new DeadlineQueue(options.ConnectTimeout, capacity, IsConnecting);
        _sweepQuotaPerMillisecond = options.CloseRate == 0 ? double.PositiveInfinity : options.CloseRate / 1000.0 / options.Reactors;
        _thread = new Thread(Run, 256 << 10) { Name = $"{options.Name} {index}", IsBackground = true };
        _epoll.Add(_waker.Descriptor, Libc.EpollIn, WakerData);
    }

    /// <summary>Connections it holds now.</summary>
    public int Count => _table.Count;

    /// <summary>Starts the thread.</summary>
    public void Start() => _thread.Start();

    /// <summary>Has this reactor accept clients from a listener. To be called before <see cref="Start"/>.</summary>
    /// <param name="acceptor">The listener, which is the reactor's from here on.</param>
    /// <param name="accept">Gets each client; the same for all listeners.</param>
    public void Listen(Acceptor acceptor, AcceptedClient accept)
    {
        _accept = accept;
        _acceptors.Add(acceptor);
        _epoll.Add(acceptor.Descriptor, Libc.EpollIn, (ulong)_acceptors.Count);
    }

    /// <summary>Tries again everything that the handler had no room for. Any thread.</summary>
    public void ReleaseStalled() => Post(ref _releasePosted);

    /// <summary>Closes all connections for which the handler has a reason, at the configured rate. Any thread.</summary>
    public void Sweep() => Post(ref _sweepPosted);

    /// <summary>Closes the listeners. Any thread.</summary>
    public void StopAccepting() => Post(ref _stopAcceptingPosted);

    /// <summary>Ends the thread after the work at hand, and waits for it. Connections are left as they are.</summary>
    public void Stop()
    {
        Post(ref _stopPosted);
        if (_thread.IsAlive) _thread.Join();
    }

    /// <summary>Closes what is left. The thread must have ended, and no other thread may use the reactor any more.</summary>
    public void Dispose()
    {
        for (int index = 0; index < _table.Used; index++)
        {
            ref ConnectionSlot slot = ref _table.Slot(index);
            if (slot.Generation == 0 || slot.Descriptor < 0) continue;
            if (slot.Is(ConnectionFlags.OutputQueued)) DropBacklog(_table.IdAt(index), ref slot);
            if (slot.Is(ConnectionFlags.Secured)) CloseSecured(index, ref slot, orderly: !slot.Is(ConnectionFlags.Aborting));
            _ = Libc.Close(slot.Descriptor);
        }

        foreach (Acceptor acceptor in _acceptors) acceptor.Dispose();
        _epoll.Dispose();
        _waker.Dispose();
        _table.Dispose();
        _posted.Dispose();
        _attending.Dispose();
        _halfOpen.Dispose();
        _connecting.Dispose();
        _sealed.Dispose();
        NativeMemory.Free(_receiveBuffer);
    }

    private void Post(ref bool flag)
    {
        lock (_postLock) flag = true;
        _waker.Signal();
    }

    /// <summary>Has the reactor's thread look at a connection that needs what only it may do.</summary>
    private void Attend(ConnectionId id)
    {
        lock (_postLock) _allPosted |= !_posted.TryAdd(id);
        _waker.Signal();
    }

    private void Run()
    {
        EpollEvent* events = stackalloc EpollEvent[EventBatch];
        BatchRest rest = default;
        long now = Environment.TickCount64;
        while (true)
        {
            int count = _epoll.Wait(events, EventBatch, Timeout(now));
            bool woken = false;
            for (int i = 0; i < count; i++)
            {
                ulong data = events[i].Data;
                if (data > uint.MaxValue) Serve(new ConnectionId(data), events[i].Events);
                else if (data == WakerData) woken = true;
                else AcceptFrom((int)data - 1);
            }

            if (woken && !DoPosted()) return;
            now = Environment.TickCount64;
            DoDue(now);
            _handler.OnBatchEnd();
            if (_options.Rests && rest.IsDueAfter(count, now)) Libc.Sleep(BatchRest.Microseconds);
        }
    }

    /// <summary>Does what other threads posted.</summary>
    /// <returns>False when the reactor is to stop.</returns>
    private bool DoPosted()
    {
        _waker.Reset();
        bool all, release, sweep, stopAccepting, stop;
        lock (_postLock)
        {
            (_posted, _attending) = (_attending, _posted);
            (all, release, sweep, stopAccepting, stop) = (_allPosted, _releasePosted, _sweepPosted, _stopAcceptingPosted, _stopPosted);
            _allPosted = _releasePosted = _sweepPosted = _stopAcceptingPosted = false;
        }

        if (all) LookAtAll();
        else foreach (ConnectionId id in _attending.Ids) Look(id);
        _attending.Clear();

        if (stopAccepting)
        {
            foreach (Acceptor acceptor in _acceptors) acceptor.Dispose();
            _acceptors.Clear();
        }

        if (sweep)
        {
            _sweepCursor = 0;
            _sweptAt = Environment.TickCount64 - SweepInterval;
        }

        if (release) RetryStalled();
        return !stop;
    }

    private void LookAtAll()
    {
        for (int index = 0; index < _table.Used; index++) Look(_table.IdAt(index));
    }

    private void DoDue(long now)
    {
        while (_halfOpen.TryTakeDue(now, out ConnectionId id, out _)) CloseFor(id, CloseReason.HalfOpenTimeout);
        while (_connecting.TryTakeDue(now, out ConnectionId id, out byte attempt)) ConnectTimedOut(id, attempt);
        _halfOpen.Sift(_table.Count);
        _connecting.Sift(_table.Count);
        if (_sweepCursor >= 0) SweepSome(now);
        if (_acceptAgainAt != 0 && now >= _acceptAgainAt)
        {
            _acceptAgainAt = 0;
            for (int i = 0; i < _acceptors.Count; i++) _epoll.Change(_acceptors[i].Descriptor, Libc.EpollIn, (ulong)i + 1);
        }
    }

    /// <summary>How long epoll may wait: for ever, unless something is due.</summary>
    private int Timeout(long now)
    {
        int until = Math.Min(_halfOpen.UntilNext(now), _connecting.UntilNext(now));
        if (_sweepCursor >= 0) until = Math.Min(until, double.IsInfinity(_sweepQuotaPerMillisecond) ? 0 : SweepInterval);
        if (_acceptAgainAt != 0) until = (int)Math.Clamp(_acceptAgainAt - now, 0, until);
        return until == int.MaxValue ? -1 : until;
    }

    private void AcceptFrom(int index)
    {
        // The listeners may have been closed by what this same batch of events brought.
        if (index >= _acceptors.Count || _acceptors[index].TryAccept(_accept!)) return;
        for (int i = 0; i < _acceptors.Count; i++) _epoll.Change(_acceptors[i].Descriptor, 0, (ulong)i + 1);
        _acceptAgainAt = Environment.TickCount64 + RestMilliseconds;
    }

    private void SweepSome(long now)
    {
        if (now - _sweptAt < SweepInterval && !double.IsInfinity(_sweepQuotaPerMillisecond)) return;

        _sweepQuota = double.IsInfinity(_sweepQuotaPerMillisecond)
            ? SweepStep
            : Math.Min(_sweepQuota + (now - _sweptAt) * _sweepQuotaPerMillisecond, Math.Max(1, 2 * SweepInterval * _sweepQuotaPerMillisecond));
        _sweptAt = now;

        // A turn ends when the quota is used up, or when it has looked at so many that others should get theirs.
        int end = Math.Min(_table.Used, _sweepCursor + 64 * SweepStep);
        for (; _sweepCursor < end && _sweepQuota >= 1; _sweepCursor++)
        {
            ref ConnectionSlot slot = ref _table.Slot(_sweepCursor);
            ConnectionId id = _table.IdAt(_sweepCursor);
            if (!_table.TryEnter(id)) continue;
            if (_accepted!.GetCloseReason(slot.Owner, ref _table.State(_sweepCursor)) is { } reason)
            {
                _sweepQuota--;
                Close(id, ref slot, reason);
            }
            else
            {
                slot.Exit();
            }
        }

        if (_sweepCursor >= _table.Used) _sweepCursor = -1;
    }

    /// <summary>Goes once through what the handler had no room for, in the order in which it came.</summary>
    private void RetryStalled()
    {
        for (int left = _stalled.Count; left > 0; left--)
        {
            ConnectionId id = _stalled.Dequeue();
            ref ConnectionSlot slot = ref _table.Slot(id.Slot);
            slot.Enter();
            bool read = slot.Is(ConnectionFlags.ReadStalled);
            slot.Clear(ConnectionFlags.InStalledQueue | ConnectionFlags.ReadStalled);
            slot.Exit();
            if (slot.Is(ConnectionFlags.Closed))
            {
                TellClosed(id, ref slot);
                continue;
            }

            Look(id);
            if (read && slot.Serves(id) && !slot.IsAny(ConnectionFlags.ReadPaused | ConnectionFlags.ReadEnded)) Receive(id, ref slot);
            if (!_table.TryEnter(id)) continue;
            Watch(id, ref slot);
            slot.Exit();
        }
    }

    private void Stall(ConnectionId id, ref ConnectionSlot slot)
    {
        // The gate is held. One place in the queue serves everything that this connection waits for.
        if (slot.Is(ConnectionFlags.InStalledQueue)) return;
        slot.Set(ConnectionFlags.InStalledQueue);
        _stalled.Enqueue(id);
    }
}
