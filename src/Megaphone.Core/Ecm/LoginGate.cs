using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>Where clients wait until it is their turn to log in (section 8 of the link protocol). Thread-safe.</summary>
/// <remarks>
/// Who waits is not read from: what it has sent stays in the kernel. Its lock is taken with gates of connections held, so nothing that takes
/// one is done with the lock held.
/// </remarks>
internal sealed class LoginGate : IDisposable
{
    /// <summary>How often turns and waits are ended that have lasted long enough, while somebody waits.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(100);

    private readonly EcmOptions _options;
    private readonly EcmServers _servers;
    private readonly RoleMetrics _metrics;
    private readonly Logins _logins;
    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private bool _isTicking;
    private bool _isStopped = true;
    private bool _isDisposed;

    /// <summary>Makes it for the clients of these reactors; before they start.</summary>
    /// <exception cref="IOException">There is no address space for deadlines.</exception>
    public LoginGate(EcmOptions options, EcmServers servers, ReactorGroup<EcmClient> clients, RoleMetrics metrics)
    {
        (_options, _servers, _metrics) = (options, servers, metrics);
        _logins = new Logins(options.Logins, options.Limits, clients.Capacity, clients.Release, servers.IsReachable);
        _timer = new Timer(_ => OnTick());
    }

    /// <summary>Whether logins are paced on a link: where its server says who has logged in.</summary>
    public bool Paces(Link link) => _options.Logins.AtOnce > 0 && link.TellsLogins && _options.Link.Framing == LinkFraming.Stanza;

    /// <summary>How many clients of a link wait, and how many have their turn.</summary>
    public (int Waiting, int UnderWay) OnLink(int index)
    {
        lock (_lock)
        {
            if (!_isStopped) _logins.Expire(Environment.TickCount64);
            return _logins.OnLink(index);
        }
    }

    /// <summary>Opens a client's session with its PROXY header; one that may have to wait has it sent when its turn comes.</summary>
    /// <param name="id">The client.</param>
    /// <param name="link">Its link.</param>
    /// <param name="client">Its state, which has the index of the link.</param>
    /// <param name="mayWait">What <see cref="Paces"/> says of the link.</param>
    /// <param name="address">To whom it is attributed.</param>
    /// <param name="header">The header, of <see cref="PacedClient.MaxHeaderBytes"/> at most where it may wait; empty: none.</param>
    /// <returns>False when the link has no room.</returns>
    public bool TryOpen(
        ConnectionId id, Link link, ref EcmClient client, bool mayWait, ClientAddress address, ReadOnlySpan<byte> header)
    {
        if (!mayWait) return TrySendHeader(id, link, ref client, header);
        lock (_lock) _logins.Add(id, _servers.ServerOf(client.LinkIndex), client.LinkIndex, address, header);
        return true;
    }

    /// <summary>A client that has not logged in has sent something: may it be read from? If its turn begins, its session does.</summary>
    /// <returns><see cref="Outcome.Done"/>: it may. <see cref="Outcome.Held"/>: it has to wait. <see cref="Outcome.WouldBlock"/>: the link has no
    /// room. <see cref="Outcome.Closed"/>: it has waited for too long.</returns>
    public Outcome Pass(ConnectionId id, Link link, ref EcmClient client, IConnectionInput input)
    {
        lock (_lock)
        {
            switch (_logins.Ask(id, Environment.TickCount64))
            {
                case Logins.Answer.GoOn:
                    return Outcome.Done;
                case Logins.Answer.Wait:
                    BeginTicking();
                    return Outcome.Held;
                case Logins.Answer.TooLate:
                    _metrics.AddLimited(Limit.LoginWait);
                    return Outcome.Closed;
            }

            if (!TrySendHeader(id, link, ref client, _logins.HeaderOf(id))) return Outcome.WouldBlock;
            _logins.Begin(id);
        }

        // LoginTimeout begins with the turn. This takes the client's gate.
        input.RenewDeadline();
        return Outcome.Done;
    }

    /// <summary>A client has logged in or has gone.</summary>
    public void Leave(ConnectionId id)
    {
        lock (_lock) _logins.Remove(id, Environment.TickCount64);
    }

    /// <summary>Begins with what happens when time passes, or goes on with it.</summary>
    public void Start()
    {
        lock (_lock)
        {
            _isStopped = false;
            if (_logins.Waiting > 0) BeginTicking();
        }
    }

    /// <summary>Nothing happens when time passes, until <see cref="Start"/>.</summary>
    public void Suspend()
    {
        lock (_lock) _isStopped = true;
    }

    /// <summary>Writes who has not logged in, while nobody comes or goes.</summary>
    public void Save(StateWriter writer) => _logins.Save(writer, Environment.TickCount64);

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(StateReader reader) => _logins.Restore(reader, Environment.TickCount64);

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed) return;
            (_isStopped, _isDisposed) = (true, true);
            _timer.Dispose();
            _logins.Dispose();
        }
    }

    private bool TrySendHeader(ConnectionId id, Link link, ref EcmClient client, ReadOnlySpan<byte> header)
    {
        if (header.IsEmpty) return true;
        if (!link.TryWriteUrgent(id.Value, header)) return false;
        PendingFlushes.Add(link);
        client.Open(_metrics);
        return true;
    }

    private void BeginTicking()
    {
        if (_isTicking || _isStopped) return;
        _isTicking = true;
        _timer.Change(Tick, Tick);
    }

    private void OnTick()
    {
        lock (_lock)
        {
            if (!_isStopped) _logins.Expire(Environment.TickCount64);
            if (!_isStopped && _logins.Waiting > 0) return;
            _isTicking = false;
            if (!_isDisposed) _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }
}
