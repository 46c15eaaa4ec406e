using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>The clients for whom something is to be counted, by their ids: native memory, at most 32 bytes for each. Thread-safe.</summary>
internal sealed unsafe class ClientTable : IDisposable
{
    private const int Shards = 64;

    private readonly TableShard<CountedClient>[] _shards = TableShard<CountedClient>.Make(Shards);
    private int _count;

    /// <summary>Clients in it.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Adds a client who is not in it.</summary>
    public void Add(ConnectionId id, CountedClient client)
    {
        uint hash = NativeTable<CountedClient>.HashOf(id.Value);
        TableShard<CountedClient> shard = _shards[hash % Shards];
        shard.Enter();
        try
        {
            *shard.Table.Add(id.Value, hash) = client;
            Interlocked.Increment(ref _count);
        }
        finally
        {
            // Growing may run out of memory.
            shard.Exit();
        }
    }

    /// <summary>Takes a client out.</summary>
    /// <returns>False when it is not in it.</returns>
    public bool TryTake(ConnectionId id, out CountedClient client)
    {
        client = default;
        if (Count == 0) return false;
        uint hash = NativeTable<CountedClient>.HashOf(id.Value);
        TableShard<CountedClient> shard = _shards[hash % Shards];
        shard.Enter();
        CountedClient* found = shard.Table.Find(id.Value, hash);
        bool isThere = found != null;
        if (isThere)
        {
            client = *found;
            shard.Table.Remove(id.Value, hash);
            Interlocked.Decrement(ref _count);
        }

        shard.Exit();
        return isThere;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TableShard<CountedClient> shard in _shards) shard.Table.Dispose();
    }
}
