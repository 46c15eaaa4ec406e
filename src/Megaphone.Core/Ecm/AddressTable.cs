using Megaphone.Metrics;

namespace Megaphone.Ecm;

/// <summary>How many connections each address has, and how fast it brings more: a bounded table in native memory.</summary>
/// <remarks>
/// <para>For IPv6 the site that an address is in, a wider network, is counted as well, and may have <see cref="SiteFactor"/> times as much as an
/// address: whoever has a /48 has 65,536 networks.</para>
/// <para>An address takes 20 bytes in a table that is a little larger: 32 in all. It leaves when nobody is there and its bucket is full: when its
/// last connection does, or soon after its bucket is full, as each arrival looks at a few others. If there are too many nevertheless, one where
/// nobody is gives way; where there is none, addresses are not counted: nobody is refused because others are many.</para>
/// <para>Thread-safe: shards with a lock each, so that no single step takes longer with more addresses.</para>
/// </remarks>
/// <param name="options">What an address may have.</param>
/// <param name="most">The most addresses that are kept.</param>
internal sealed unsafe class AddressTable(LimitOptions options, int most) : IDisposable
{
    /// <summary>How much more a site may have than an address.</summary>
    public const int SiteFactor = 16;

    private const int Shards = 256;

    /// <summary>Places that an arrival looks at, to remove addresses that may leave: twice as many as can have come.</summary>
    private const int LooksPerArrival = 4;

    /// <summary>Places that are looked at for one that gives way, when there are too many.</summary>
    private const int LooksForRoom = 64;

    private readonly TableShard<AddressCounts>[] _shards = TableShard<AddressCounts>.Make(Shards);
    private readonly TokenBucket _ofAddress = new(options.PerAddressRate);
    private readonly TokenBucket _ofSite = new(options.PerAddressRate * SiteFactor);
    private int _count;

    /// <summary>Addresses in it, and sites.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The memory that it takes, in bytes.</summary>
    public long Bytes => _shards.Sum(shard => shard.Table.Bytes);

    /// <summary>Counts a connection that arrives, unless its address has too many, or brings them too fast.</summary>
    /// <param name="client">Whose it is.</param>
    /// <param name="isLimited">False: it is counted among those who have not logged in, and nothing else.</param>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    /// <returns>The limit that keeps it out; null: it is counted, until <see cref="Leave"/>.</returns>
    public Limit? Arrive(ClientAddress client, bool isLimited, long now)
    {
        uint time = TokenBucket.TimeOf(now);
        ClientAddress network = NetworkOf(client);
        int most = isLimited ? options.PerAddress : 0;
        if (TryAdd(network, most, isLimited ? _ofAddress : default, notLoggedIn: 1, time) is { } limit) return limit;
        if (!HasSite(client, isLimited)) return null;
        Limit? ofSite = TryAdd(SiteOf(client), SiteFactor * most, _ofSite, notLoggedIn: 0, time);
        if (ofSite is null) return null;
        Remove(network, Math.Min(most, 1), notLoggedIn: 1, time);
        return ofSite == Limit.PerAddress ? Limit.PerSite : Limit.PerSiteRate;
    }

    /// <summary>Counts a connection that was counted by a table before this one, whatever its address may have.</summary>
    public void ArriveAgain(ClientAddress client, bool isLimited, bool hasLoggedIn, long now)
    {
        int most = isLimited && options.PerAddress > 0 ? int.MaxValue : 0;
        uint time = TokenBucket.TimeOf(now);
        TryAdd(NetworkOf(client), most, bucket: default, hasLoggedIn ? 0 : 1, time);
        if (most > 0 && HasSite(client, isLimited)) TryAdd(SiteOf(client), most, bucket: default, notLoggedIn: 0, time);
    }

    /// <summary>A connection that has been counted has logged in.</summary>
    public void LogIn(ClientAddress client, long now) => Remove(NetworkOf(client), connections: 0, notLoggedIn: 1, TokenBucket.TimeOf(now));

    /// <summary>A connection that has been counted is over.</summary>
    /// <param name="client">Whose it was.</param>
    /// <param name="isLimited">As when it arrived.</param>
    /// <param name="hadLoggedIn">Whether it had logged in.</param>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    public void Leave(ClientAddress client, bool isLimited, bool hadLoggedIn, long now)
    {
        int connections = isLimited ? Math.Min(options.PerAddress, 1) : 0;
        uint time = TokenBucket.TimeOf(now);
        Remove(NetworkOf(client), connections, hadLoggedIn ? 0 : 1, time);
        if (HasSite(client, isLimited)) Remove(SiteOf(client), connections, notLoggedIn: 0, time);
    }

    /// <summary>How many connections of a client's address have not logged in.</summary>
    public int NotLoggedIn(ClientAddress client)
    {
        ClientAddress network = NetworkOf(client);
        uint hash = NativeTable<AddressCounts>.HashOf(network.Value);
        TableShard<AddressCounts> shard = _shards[hash % Shards];
        shard.Enter();
        AddressCounts* counts = shard.Table.Find(network.Value, hash);
        int found = counts == null ? 0 : counts->NotLoggedIn;
        shard.Exit();
        return found;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TableShard<AddressCounts> shard in _shards) shard.Table.Dispose();
    }

    private ClientAddress NetworkOf(ClientAddress client) => client.Within(options.Ipv4Prefix, options.Ipv6Prefix);

    private ClientAddress SiteOf(ClientAddress client) => client.Site(options.Ipv6Site);

    private bool HasSite(ClientAddress client, bool isLimited) =>
        isLimited && !client.IsV4 && options.Ipv6Site > 0 && (options.PerAddress > 0 || options.PerAddressRate > 0);

    private Limit? TryAdd(ClientAddress network, int mostConnections, TokenBucket bucket, int notLoggedIn, uint now)
    {
        uint hash = NativeTable<AddressCounts>.HashOf(network.Value);
        TableShard<AddressCounts> shard = _shards[hash % Shards];
        shard.Enter();
        try
        {
            for (int looks = 0; looks < LooksPerArrival; looks++) RemoveNext(shard, now);
            AddressCounts* counts = shard.Table.Find(network.Value, hash);
            AddressCounts changed = counts == null ? default : *counts;
            if (mostConnections > 0 && changed.Connections >= mostConnections) return Limit.PerAddress;
            if (!bucket.TryTake(ref changed.FullAt, now)) return Limit.PerAddressRate;
            changed.Connections += Math.Min(mostConnections, 1);
            changed.NotLoggedIn += notLoggedIn;
            if (counts == null)
            {
                if (!HasRoom(shard)) return null;
                counts = shard.Table.Add(network.Value, hash);
                Interlocked.Increment(ref _count);
            }

            *counts = changed;
            return null;
        }
        finally
        {
            // Growing may run out of memory.
            shard.Exit();
        }
    }

    /// <summary>Counts connections off an address, if they were counted, and removes it if it may leave.</summary>
    private void Remove(ClientAddress network, int connections, int notLoggedIn, uint now)
    {
        if ((connections | notLoggedIn) == 0) return;
        uint hash = NativeTable<AddressCounts>.HashOf(network.Value);
        TableShard<AddressCounts> shard = _shards[hash % Shards];
        shard.Enter();
        AddressCounts* counts = shard.Table.Find(network.Value, hash);
        if (counts != null)
        {
            counts->Connections = Math.Max(0, counts->Connections - connections);
            counts->NotLoggedIn = Math.Max(0, counts->NotLoggedIn - notLoggedIn);
            if (counts->IsDeserted && TokenBucket.IsFull(counts->FullAt, now))
            {
                shard.Table.Remove(network.Value, hash);
                Interlocked.Decrement(ref _count);
            }
        }

        shard.Exit();
    }

    /// <summary>Whether there is room for one more address; one where nobody is gives way if need be.</summary>
    private bool HasRoom(TableShard<AddressCounts> shard)
    {
        for (int looks = 0; Count >= most && looks < LooksForRoom; looks++) RemoveNext(shard, now: null);
        return Count < most;
    }

    /// <summary>Looks at the next place of a shard, and removes the address there if nobody is there and its bucket is full.</summary>
    /// <param name="shard">The shard; its lock is held.</param>
    /// <param name="now">The time; null: whether its bucket is full or not.</param>
    private void RemoveNext(TableShard<AddressCounts> shard, uint? now)
    {
        if (shard.Hand >= shard.Table.Size) shard.Hand = 0;
        if (shard.Table.Count == 0) return;
        AddressCounts* counts = shard.Table.At(shard.Hand, out _);
        if (counts == null || !counts->IsDeserted || !TokenBucket.IsFull(counts->FullAt, now ?? counts->FullAt))
        {
            shard.Hand++;
            return;
        }

        // Its place may be another's now, which is looked at next.
        shard.Table.RemoveAt(shard.Hand);
        Interlocked.Decrement(ref _count);
    }
}
