using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>Keeps links to every address of the configured servers: begins with new addresses, and ends with those that have left.</summary>
/// <remarks>Thread-safe.</remarks>
/// <param name="options">The ECM's settings.</param>
/// <param name="servers">Where links are entered.</param>
/// <param name="clients">The reactors that hold clients.</param>
/// <param name="metrics">The role's counters.</param>
/// <param name="log">The ECM's log.</param>
/// <param name="linkLog">The log of links.</param>
/// <param name="tls">Does the TLS handshakes; null: no TLS.</param>
/// <param name="resolve">Looks names up; null: as the system does.</param>
internal sealed class ServerLinks(
    EcmOptions options,
    EcmServers servers,
    ReactorGroup<EcmClient> clients,
    RoleMetrics metrics,
    EcmLog log,
    LinkLog linkLog,
    LinkTls? tls,
    TargetLookup.Resolver? resolve = null) : IDisposable
{
    /// <summary>
    /// After so long a link that stands by is tried all the same: its address may have become another server's, which nobody would say.
    /// </summary>
    private static readonly TimeSpan LongestStandby = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan SuspendStep = TimeSpan.FromMilliseconds(5);

    private readonly Lock _lock = new();
    private readonly List<Connecting> _connecting = [];
    private CancellationTokenSource _stop = new();
    private TargetLookup? _lookup;
    private bool _isStopping;
    private bool _isSuspended;

    /// <summary>Begins to look up names and to connect.</summary>
    /// <param name="cut">Links that were handed over: they are connected at once.</param>
    public void Start(IReadOnlyList<EcmLink> cut)
    {
        lock (_lock)
        {
            _isSuspended = false;
            foreach (EcmLink link in cut) Begin(link);
        }

        _lookup = new TargetLookup(
            options.Connect.To, OnAddresses, (target, reason) => log.Unresolved(target.Host, reason), resolve, options.Link.Time);
        _ = _lookup.StartAsync();
    }

    /// <summary>Cuts all links, and connects no more until <see cref="Start"/>. Links that cannot be resumed are over.</summary>
    /// <returns>The links that are cut, and wait for as long as it takes; complete when nothing of any connection is under way.</returns>
    public async Task<IReadOnlyList<EcmLink>> SuspendAsync()
    {
        Connecting[] all;
        lock (_lock)
        {
            _isSuspended = true;
            all = [.. _connecting];
        }

        _lookup!.Dispose();
        await _stop.CancelAsync().ConfigureAwait(false);
        Task ended = Task.WhenAll(all.Select(one => one.Running));
        do
        {
            // Once more for a connection that has come up meanwhile.
            foreach (Connecting one in all) one.Connector?.Suspend();
        }
        while (await Task.WhenAny(ended, Task.Delay(SuspendStep)).ConfigureAwait(false) != ended);
        _stop.Dispose();
        _stop = new CancellationTokenSource();
        return [.. servers.Links.Where(link => link.Current?.TryHold() is true)];
    }

    /// <summary>Connects no more. Links that are up are left for their drain.</summary>
    /// <returns>Completes when all of them have ended.</returns>
    public Task StopAsync()
    {
        Task[] running;
        lock (_lock)
        {
            _isStopping = true;
            running = [.. _connecting.Select(one => one.Running)];
        }

        _lookup!.Dispose();
        _stop.Cancel();
        return Task.WhenAll(running);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _lookup?.Dispose();
        _stop.Dispose();
    }

    private void OnAddresses(IReadOnlyList<TargetAddress> addresses)
    {
        lock (_lock)
        {
            if (_isStopping || _isSuspended) return;
            HashSet<TargetAddress> listed = [.. addresses];
            foreach (EcmLink link in _connecting.Select(one => one.Link))
            {
                bool leaves = !listed.Contains(link.Address);
                if (leaves && !link.HasLeft) log.AddressLeft(link.Address.ToString(), link.Clients);
                servers.SetLeft(link, leaves);
            }

            foreach (TargetAddress address in addresses) BeginMissing(address);
            foreach (Connecting one in _connecting.ToList()) EndIfLeft(one);
        }
    }

    private void BeginMissing(TargetAddress address)
    {
        for (int count = _connecting.Count(one => one.Link.Address == address); count < options.Connect.Count; count++)
        {
            if (!servers.TryAdd(address, clients, metrics, out EcmLink? link))
            {
                log.TooManyLinks(address.ToString(), EcmServers.MaxLinks);
                return;
            }

            Begin(link);
        }
    }

    private void Begin(EcmLink link)
    {
        Connecting one = new(link, CancellationTokenSource.CreateLinkedTokenSource(_stop.Token));
        _connecting.Add(one);
        one.Running = RunAsync(one);
    }

    /// <summary>Ends with an address that has left, once its link is down. Its lock is held.</summary>
    private static void EndIfLeft(Connecting one)
    {
        if (one.Link is { HasLeft: true, Current: null }) one.Stop.Cancel();
    }

    private async Task RunAsync(Connecting one)
    {
        // The caller holds the lock: nothing of this may run within it.
        await Task.Yield();
        LinkSlot? slot = options.Connect is { Control: true, Resume: true } ? new LinkSlot(one.Link.Index) : null;
        if (one.Link.Current is { } cut)
        {
            slot?.Set(cut);
            cut.ReleaseHold();
        }

        LinkConnector connector = new(options.Connect, one.Link.Address, options.Link, one.Link, metrics, linkLog, tls)
        {
            OnEnded = () => OnEnded(one),
            Slot = slot,
            UntilNeeded = () => one.Link.UntilNeeded is { } needed ? StandByAsync(one, needed) : null,
        };
        one.Connector = connector;
        await connector.RunAsync(one.Stop.Token).ConfigureAwait(false);
        if (!_isSuspended) slot?.Cut?.Lose("shutting down");
        lock (_lock)
        {
            _connecting.Remove(one);
            if (!_isSuspended || one.Link.Current is null) servers.Remove(one.Link);
            one.Stop.Dispose();
        }
    }

    private async Task StandByAsync(Connecting one, Task needed)
    {
        await Task.WhenAny(needed, Task.Delay(LongestStandby, options.Link.Time, one.Stop.Token)).ConfigureAwait(false);
        one.Link.EndStandby();
    }

    private void OnEnded(Connecting one)
    {
        lock (_lock)
        {
            if (_isStopping || _isSuspended) return;
            EndIfLeft(one);
        }

        one.Link.LoseIfGone();
        if (one.Link.UntilNeeded is null) _lookup!.Request();
    }

    /// <summary>A link, and the task that keeps it connected.</summary>
    private sealed record Connecting(EcmLink Link, CancellationTokenSource Stop)
    {
        public Task Running { get; set; } = Task.CompletedTask;

        public LinkConnector? Connector { get; set; }
    }
}
