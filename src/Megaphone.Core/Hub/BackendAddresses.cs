using System.Net;
using System.Net.Sockets;
using Megaphone.Interop;
using Megaphone.Values;

namespace Megaphone.Hub;

/// <summary>The addresses of a backend's name, resolved again in the background. Thread-safe.</summary>
/// <remarks>
/// Sessions never wait for a name server: they use the addresses that are known. The address that was connected last is tried
/// first, so that a name with one dead address costs one session a failed attempt, not each.
/// </remarks>
internal sealed class BackendAddresses : IDisposable
{
    private static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(30);
    /// <summary>How long the start waits for a name server; sessions that are opened before its answer are refused.</summary>
    private static readonly TimeSpan InitialTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly HostPort _backend;
    private readonly HubLog _log;
    private readonly Timer _timer;
    private volatile AddressList _list = new([], 0);
    private volatile string? _failure;
    private int _preferred;

    /// <summary>Resolves the name for the first time; a failure is logged and retried, not thrown.</summary>
    public BackendAddresses(HostPort backend, HubLog log)
    {
        _backend = backend;
        _log = log;
        _timer = new Timer(_ => _ = RefreshAsync());
        if (backend.Address is { } address) Update([new NativeAddress(new IPEndPoint(address, backend.Port))]);
        else RefreshAsync().Wait(InitialTimeout);
    }

    /// <summary>Gets the first address for a new session.</summary>
    /// <returns>False when the name could not be resolved.</returns>
    public bool TryStart(out Candidates candidates, out NativeAddress first)
    {
        candidates = Begin(_list);
        return TryNext(ref candidates, out first);
    }

    /// <summary>Gets the next address after one failed.</summary>
    public bool TryNext(ref Candidates candidates, out NativeAddress address)
    {
        // The addresses have changed meanwhile: start with the new ones.
        AddressList list = _list;
        if (candidates.Version != list.Version) candidates = Begin(list);
        (_, ushort preferred, ushort tried) = candidates;
        if (tried >= list.Addresses.Length)
        {
            address = default;
            return false;
        }

        address = list.Addresses[(preferred + tried) % list.Addresses.Length];
        candidates = candidates with { Tried = (ushort)(tried + 1) };
        return true;
    }

    /// <summary>Records that the address tried last was connected.</summary>
    public void Succeeded(in Candidates candidates)
    {
        AddressList list = _list;
        if (candidates.Tried > 1 && candidates.Version == list.Version)
            Volatile.Write(ref _preferred, (candidates.Preferred + candidates.Tried - 1) % list.Addresses.Length);
    }

    /// <summary>Stops resolving the name.</summary>
    public void Dispose() => _timer.Dispose();

    private async Task RefreshAsync()
    {
        string? failure = null;
        try
        {
            IPAddress[] found = await Dns.GetHostAddressesAsync(_backend.Host).ConfigureAwait(false);
            if (found.Length == 0) failure = "the name has no address";
            else Update([.. found.Select(address => new NativeAddress(new IPEndPoint(address, _backend.Port)))]);
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            // The known addresses stay in use: an unreachable name server is no reason to refuse sessions.
            failure = e.Message;
        }

        if (failure is not null && failure != _failure) _log.Unresolved(_backend.Host, failure);
        _failure = failure;
        try
        {
            _timer.Change(failure is null ? RefreshInterval : RetryInterval, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // The hub has stopped meanwhile.
        }
    }

    private Candidates Begin(AddressList list) =>
        new(list.Version, (ushort)(Volatile.Read(ref _preferred) % Math.Max(1, list.Addresses.Length)), 0);

    /// <summary>Replaces the addresses by a name server's answer.</summary>
    internal void Update(NativeAddress[] addresses)
    {
        AddressList list = _list;
        if (addresses.AsSpan().SequenceEqual(list.Addresses)) return;
        Volatile.Write(ref _preferred, 0);
        _list = new AddressList(addresses, (ushort)(list.Version + 1));
    }

    /// <summary>How far one session is in trying the addresses. Plain data, kept with each connection.</summary>
    /// <param name="Version">The list that it refers to.</param>
    /// <param name="Preferred">The index of the first address to try.</param>
    /// <param name="Tried">How many have been tried.</param>
    internal readonly record struct Candidates(ushort Version, ushort Preferred, ushort Tried);

    private sealed record AddressList(NativeAddress[] Addresses, ushort Version);
}
