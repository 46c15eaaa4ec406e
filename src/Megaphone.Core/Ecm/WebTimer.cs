using Megaphone.Metrics;
using Megaphone.Reactor;
using Megaphone.Web;

namespace Megaphone.Ecm;

/// <summary>
/// What happens to connections for the web when time passes: those that do not send their request's head in time are closed, and
/// WebSocket clients with whom nothing is going on are sent a ping, so that no box on the way takes their connections for dead.
/// </summary>
/// <remarks>
/// <para>No client has a timer of its own, and a million are not sent their pings together: a tick each second looks at a share of the slots,
/// so that each is looked at eight times in the silence after which its ping is due.</para>
/// <para>A tick takes clients' gates. An accepted client's gate is held while its deadline is armed; so no gate is taken with the lock of the
/// deadlines held.</para>
/// </remarks>
internal sealed class WebTimer : IDisposable
{
    /// <summary>Looks at a slot in the time after which a silent client is sent a ping; fewer where that is less than so many seconds.</summary>
    private const int Looks = 8;

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    /// <summary>The time for the head of a connection's first request.</summary>
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10);

    private readonly WebSlots _slots;
    private readonly ReactorGroup<EcmClient> _clients;
    private readonly RoleMetrics _metrics;
    private readonly int[] _pingSeconds;
    private readonly Lock _ticking = new();
    private readonly Lock _arming = new();
    private readonly DeadlineQueue _heads;
    private readonly Timer _timer;
    private long _ticks;
    private bool _isTicking;
    private bool _isDisposed;

    /// <summary>Makes it; nothing happens before <see cref="Start"/>.</summary>
    /// <exception cref="IOException">There is no address space for the deadlines.</exception>
    public WebTimer(EcmOptions options, WebSlots slots, ReactorGroup<EcmClient> clients, RoleMetrics metrics)
    {
        (_slots, _clients, _metrics) = (slots, clients, metrics);
        _pingSeconds = [.. options.GetWeb().Select(web => (int)(web?.Ping.TotalSeconds ?? 0))];
        _heads = new DeadlineQueue(RequestTimeout, clients.Capacity, (id, _) => IsInHead(id));
        _timer = new Timer(_ => OnTick());
    }

    /// <summary>Begins to tick, or goes on with it.</summary>
    public void Start()
    {
        lock (_ticking)
        {
            _isTicking = true;
            _timer.Change(Tick, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Waits for the end of a tick that is under way; there is no other one until <see cref="Start"/>.</summary>
    public void Suspend()
    {
        lock (_ticking) _isTicking = false;
    }

    /// <summary>A connection has the time for its head from now on. Any thread.</summary>
    public void AwaitHead(ConnectionId id)
    {
        lock (_arming)
        {
            if (!_isDisposed) _heads.Arm(id, Environment.TickCount64);
        }
    }

    /// <summary>Waits for the end of a tick that is under way; there is no other one. The reactors must be there until then.</summary>
    public void Dispose()
    {
        lock (_ticking)
        {
            _isTicking = false;
            lock (_arming)
            {
                _isDisposed = true;
                _timer.Dispose();
                _heads.Dispose();
            }
        }
    }

    private void OnTick()
    {
        lock (_ticking)
        {
            if (!_isTicking) return;
            _ticks++;
            foreach (int seconds in _pingSeconds.Distinct().Where(seconds => seconds > 0)) SendPings(seconds);
            while (TryTakeOverdue(out ConnectionId id))
            {
                if (IsInHead(id) && _clients.Abort(id, _slots[id].Owner, CloseReason.HalfOpenTimeout)) _metrics.AddRefused(RefusalReason.NoRequest);
            }

            _timer.Change(Tick, Timeout.InfiniteTimeSpan);
        }
    }

    private bool TryTakeOverdue(out ConnectionId id)
    {
        lock (_arming)
        {
            if (_heads.TryTakeDue(Environment.TickCount64, out id, out _)) return true;
            _heads.Sift(_clients.Count);
            return false;
        }
    }

    private bool IsInHead(ConnectionId id) => _slots.Has(id) && _slots[id].Phase == WebPhase.Head;

    private void SendPings(int seconds)
    {
        int share = Math.Max(1, seconds / Looks), looks = seconds / share;
        for (int reactor = 0; reactor < _slots.Reactors; reactor++)
        {
            for (int index = (int)(_ticks % share); index < _slots.Used(reactor); index += share)
            {
                ref WebSlot slot = ref _slots.At(reactor, index);
                uint generation = Volatile.Read(ref slot.Generation);
                if (generation == 0 || slot.Phase != WebPhase.WebSocket || _pingSeconds[slot.Listener] != seconds) continue;

                // A client that is slow has enough to read.
                if (slot.IsSlow || ++slot.SilentLooks < looks) continue;
                slot.SilentLooks = 0;
                _clients.Send(new ConnectionId(generation, reactor, index), slot.Owner, WebSocketFrame.EmptyPing);
            }
        }
    }
}
