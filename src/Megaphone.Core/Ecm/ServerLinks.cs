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

    private readonly Lock _lock = new();
    private readonly List<Connecting> _connecting = [];
    private readonly CancellationTokenSource _stop = new();
    private TargetLookup? _lookup;
    private bool _isStopping;

    /// <summary>Begins to look up names and to connect.</summary>
    public void Start()
    {
        _lookup = new TargetLookup(
            options.Connect.To, OnAddresses, (target, reason) => log.Unresolved(target.Host, reason), resolve, options.Link.Time);
        _ = _lookup.StartAsync();
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
            if (_isStopping) return;
            HashSet<TargetAddress> listed = [.. addresses];
            foreach (EcmLink link in _connecting.Select(one => one.Link))
            {
                bool leaves = !listed.Contains(link.Address);
                if (leaves && !link.HasLeft) log.AddressLeft(link.Address.ToString(), link.Clients);
                servers.SetLeft(link, leaves);
            }

            foreach (TargetAddress address in addresses.Where(address => !_connecting.Any(one => one.Link.Address == address))) Begin(address);
            foreach (Connecting one in _connecting.ToList()) EndIfLeft(one);
        }
    }

    private void Begin(TargetAddress address)
    {
        for (int i = 0; i < options.Connect.Count; i++)
        {
            if (!servers.TryAdd(address, clients, metrics, out EcmLink? link))
            {
                log.TooManyLinks(address.ToString(), EcmServers.MaxLinks);
                return;
            }

            Connecting one = new(link, CancellationTokenSource.CreateLinkedTokenSource(_stop.Token));
            _connecting.Add(one);
            one.Running = RunAsync(one);
        }
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
        LinkConnector connector = new(options.Connect, one.Link.Address, options.Link, one.Link, metrics, linkLog, tls)
        {
            OnEnded = () => OnEnded(one),
            Slot = options.Connect is { Control: true, Resume: true } ? new LinkSlot(one.Link.Index) : null,
            UntilNeeded = () => one.Link.UntilNeeded is { } needed ? StandByAsync(one, needed) : null,
        };
        await connector.RunAsync(one.Stop.Token).ConfigureAwait(false);
        lock (_lock)
        {
            _connecting.Remove(one);
            servers.Remove(one.Link);
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
            if (_isStopping) return;
            EndIfLeft(one);
        }

        one.Link.LoseIfGone();
        if (one.Link.UntilNeeded is null) _lookup!.Request();
    }

    /// <summary>A link, and the task that keeps it connected.</summary>
    private sealed record Connecting(EcmLink Link, CancellationTokenSource Stop)
    {
        public Task Running { get; set; } = Task.CompletedTask;
    }
}
