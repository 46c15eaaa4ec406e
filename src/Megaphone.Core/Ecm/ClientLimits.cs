using Megaphone.Interop;
using Megaphone.Metrics;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>Who may connect, and what each address has. Thread-safe.</summary>
/// <param name="options">The limits.</param>
/// <param name="maxClients">The most clients that there may be, handshakes included.</param>
/// <param name="metrics">Counts those who are kept out.</param>
internal sealed class ClientLimits(LimitOptions options, int maxClients, RoleMetrics metrics) : IDisposable
{
    /// <summary>Addresses that may be kept beside those of clients, whose buckets are not full yet.</summary>
    private const int RoomForBuckets = 1 << 16;

    private readonly NetworkList _allow = new(options.Allow);
    private readonly NetworkList _deny = new(options.Deny);
    private readonly NetworkList _exempt = new(options.Exempt);
    private readonly bool _counts = options.PerAddress > 0 || options.PerAddressRate > 0;

    // For IPv6 there may be a site beside each address.
    private readonly AddressTable _addresses = new(options, 2 * maxClients + RoomForBuckets);
    private readonly ClientTable _clients = new();

    /// <summary>A client has connected. One that is let in is counted, until it is turned away or leaves.</summary>
    /// <returns>Whether it is let in.</returns>
    public bool TryArrive(in NativeAddress peer)
    {
        Limit? limit = null;
        if (_deny.Contains(peer) || (!_allow.IsEmpty && !_allow.Contains(peer))) limit = Limit.Denied;
        else if (_counts) limit = _addresses.Arrive(ClientAddress.Of(peer), IsLimited(peer), Environment.TickCount64);
        if (limit is { } kept) metrics.AddLimited(kept);
        return limit is null;
    }

    /// <summary>A client who was let in is not served after all, or has gone before it was.</summary>
    public void TurnAway(in NativeAddress peer)
    {
        if (_counts) Leave(new CountedClient(ClientAddress.Of(peer), IsLimited(peer), Environment.TickCount64));
    }

    /// <summary>A client who was let in is served from now on, and known by its id.</summary>
    public void Begin(ConnectionId id, in NativeAddress peer)
    {
        if (_counts) _clients.Add(id, new CountedClient(ClientAddress.Of(peer), IsLimited(peer), Environment.TickCount64));
    }

    /// <summary>A client who was served has gone.</summary>
    public void Leave(ConnectionId id)
    {
        if (_clients.TryTake(id, out CountedClient client)) Leave(client);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _addresses.Dispose();
        _clients.Dispose();
    }

    private bool IsLimited(in NativeAddress peer) => !_exempt.Contains(peer);

    private void Leave(in CountedClient client) =>
        _addresses.Leave(client.Address, client.IsLimited, hadLoggedIn: false, Environment.TickCount64);
}
