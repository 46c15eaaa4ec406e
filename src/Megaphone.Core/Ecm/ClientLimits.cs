using Megaphone.Handover;
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
    /// <summary>An address with no more clients than this who have not logged in is not one that has very many.</summary>
    public const int FewOfAddress = 16;

    /// <summary>How many are looked at for one that is to give way.</summary>
    public const int SampleSize = 16;

    /// <summary>Addresses that may be kept beside those of clients, whose buckets are not full yet.</summary>
    private const int RoomForBuckets = 1 << 16;

    private readonly NetworkList _allow = new(options.Allow);
    private readonly NetworkList _deny = new(options.Deny);
    private readonly NetworkList _exempt = new(options.Exempt);

    // For IPv6 there may be a site beside each address.
    private readonly AddressTable _addresses = new(options, 2 * maxClients + RoomForBuckets);
    private readonly ClientTable _arriving = new();
    private readonly ClientTable _loggedIn = new();

    /// <summary>A client has connected. One that is let in is counted, until it is turned away or leaves.</summary>
    /// <returns>Whether it is let in.</returns>
    public bool TryArrive(in NativeAddress peer)
    {
        Limit? limit = null;
        if (Denies(peer)) limit = Limit.Denied;
        else limit = _addresses.Arrive(ClientAddress.Of(peer), IsLimited(peer), Environment.TickCount64);
        if (limit is { } kept) metrics.AddLimited(kept);
        return limit is null;
    }

    /// <summary>Whether nobody may connect from there.</summary>
    public bool Denies(in NativeAddress peer) => _deny.Contains(peer) || (!peer.IsUnix && !_allow.IsEmpty && !_allow.Contains(peer));

    /// <summary>A client who was let in is not served after all, or has gone before it was.</summary>
    public void TurnAway(in NativeAddress peer)
    {
        Leave(new CountedClient(ClientAddress.Of(peer), IsLimited(peer), Environment.TickCount64), hadLoggedIn: false);
    }

    /// <summary>A client who was let in is served from now on, and known by its id.</summary>
    public void Begin(ConnectionId id, in NativeAddress peer) =>
        _arriving.Add(id, new CountedClient(ClientAddress.Of(peer), IsLimited(peer), Environment.TickCount64));

    /// <summary>A client who was served is no stranger any more. Once for each at most.</summary>
    /// <param name="id">The client.</param>
    /// <param name="isUser">Whether it has logged in; else it is one that never will, and does not count among those.</param>
    /// <param name="isProxied">Whether it may have come through a proxy: then nobody else knows its address.</param>
    public void Admit(ConnectionId id, bool isUser, bool isProxied)
    {
        if (!_arriving.TryTake(id, out CountedClient client)) return;
        long now = Environment.TickCount64;
        _addresses.LogIn(client.Address, now);
        if (isUser)
        {
            metrics.AddLoggedIn();
            metrics.Logins.Add(client.Age(now), TimeHistogram.LongBounds);
        }

        // Otherwise nothing of it will have to be counted off: nobody who is logged in costs more than its connection does.
        if (isProxied || (client.IsLimited && options.PerAddress > 0)) _loggedIn.Add(id, client);
    }

    /// <summary>The address of a client, as far as it is kept: the whole of it for IPv4, the network for IPv6.</summary>
    public bool TryFind(ConnectionId id, out ClientAddress address)
    {
        bool isFound = _arriving.TryGet(id, out CountedClient client) || _loggedIn.TryGet(id, out client);
        address = client.Address;
        return isFound;
    }

    /// <summary>How many of those who have connected from a client's address have not logged in.</summary>
    public int NotLoggedIn(in NativeAddress peer) => _addresses.NotLoggedIn(ClientAddress.Of(peer));

    /// <summary>The same for a client who has not logged in, and is known by its id; 0 for any other.</summary>
    public int NotLoggedIn(ConnectionId id) => _arriving.TryGet(id, out CountedClient client) ? _addresses.NotLoggedIn(client.Address) : 0;

    /// <summary>Some clients who have not logged in, and how many of their addresses have not.</summary>
    /// <returns>How many there are.</returns>
    public int Sample(Span<(ConnectionId Id, int OfAddress)> sample)
    {
        Span<(ConnectionId Id, CountedClient Client)> clients = stackalloc (ConnectionId, CountedClient)[sample.Length];
        int count = _arriving.Sample(clients);
        for (int i = 0; i < count; i++) sample[i] = (clients[i].Id, _addresses.NotLoggedIn(clients[i].Client.Address));
        return count;
    }

    /// <summary>Who is to give way to a client who has arrived: of some who have not logged in, one whose address has most of them.</summary>
    /// <returns>False when none of these addresses has very many, and more than the client's own.</returns>
    public bool TryFindBusiest(in NativeAddress peer, out ConnectionId busiest)
    {
        Span<(ConnectionId Id, int OfAddress)> sample = stackalloc (ConnectionId, int)[SampleSize];
        int most = Math.Max(FewOfAddress, NotLoggedIn(peer));
        busiest = default;
        foreach ((ConnectionId id, int ofAddress) in sample[..Sample(sample)])
        {
            if (ofAddress > most) (busiest, most) = (id, ofAddress);
        }

        return busiest.Value != 0;
    }

    /// <summary>A client who was served has gone.</summary>
    /// <param name="id">The client.</param>
    /// <param name="isUser">As it was admitted, if it was.</param>
    public void Leave(ConnectionId id, bool isUser)
    {
        if (_arriving.TryTake(id, out CountedClient client))
        {
            Leave(client, hadLoggedIn: false);
            return;
        }

        if (isUser) metrics.RemoveLoggedIn();
        if (_loggedIn.TryTake(id, out client)) Leave(client, hadLoggedIn: true);
    }

    /// <summary>Writes whom it counts, while nobody comes or goes.</summary>
    public void Save(StateWriter writer)
    {
        _arriving.Save(writer);
        _loggedIn.Save(writer);
    }

    /// <summary>Reads what <see cref="Save"/> has written, and counts these clients by these limits. None of them is kept out: they are there. Those
    /// before or in their handshake are not.</summary>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(StateReader reader)
    {
        long now = Environment.TickCount64;
        _arriving.Restore(reader, client => _addresses.ArriveAgain(client.Address, client.IsLimited, hasLoggedIn: false, now));
        _loggedIn.Restore(reader, client => _addresses.ArriveAgain(client.Address, client.IsLimited, hasLoggedIn: true, now));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _addresses.Dispose();
        _arriving.Dispose();
        _loggedIn.Dispose();
    }

    /// <summary>Who may connect to a Unix socket, and how often, is the matter of those who have its file.</summary>
    private bool IsLimited(in NativeAddress peer) => !peer.IsUnix && !_exempt.Contains(peer);

    private void Leave(in CountedClient client, bool hadLoggedIn) =>
        _addresses.Leave(client.Address, client.IsLimited, hadLoggedIn, Environment.TickCount64);
}
