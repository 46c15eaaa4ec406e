using Megaphone.Handover;
using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>The clients for whom something is to be counted, by their ids: native memory, at most 32 bytes for each. Thread-safe.</summary>
internal sealed unsafe class ClientTable : IDisposable
{
    private const int Shards = 64;

    /// <summary>Places of one shard that a sample looks at.</summary>
    private const int MostLooks = 64;

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

    /// <summary>What is counted of a client who is in it.</summary>
    public bool TryGet(ConnectionId id, out CountedClient client)
    {
        uint hash = NativeTable<CountedClient>.HashOf(id.Value);
        TableShard<CountedClient> shard = _shards[hash % Shards];
        shard.Enter();
        CountedClient* found = shard.Table.Find(id.Value, hash);
        bool isThere = found != null;
        client = isThere ? *found : default;
        shard.Exit();
        return isThere;
    }

    /// <summary>Some clients, from a random place on.</summary>
    /// <returns>How many there are.</returns>
    public int Sample(Span<(ConnectionId Id, CountedClient Client)> sample)
    {
        int count = 0, first = Random.Shared.Next(Shards);
        for (int i = 0; i < Shards && count < sample.Length; i++)
        {
            TableShard<CountedClient> shard = _shards[(first + i) % Shards];
            shard.Enter();
            int size = shard.Table.Size, start = size == 0 ? 0 : Random.Shared.Next(size);
            for (int looks = 0; looks < Math.Min(size, MostLooks) && count < sample.Length; looks++)
            {
                CountedClient* client = shard.Table.At((start + looks) % size, out ulong id);
                if (client != null) sample[count++] = (new ConnectionId(id), *client);
            }

            shard.Exit();
        }

        return count;
    }

    /// <summary>Writes all of it, while nobody changes it.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(Count);
        foreach (TableShard<CountedClient> shard in _shards)
        {
            for (int index = 0; index < shard.Table.Size; index++)
            {
                CountedClient* client = shard.Table.At(index, out ulong id);
                if (client == null) continue;
                writer.Write(id);
                writer.Write(*client);
            }
        }
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <param name="reader">The state.</param>
    /// <param name="add">Called for each client.</param>
    /// <exception cref="StateException">It cannot be.</exception>
    public void Restore(StateReader reader, Action<CountedClient> add)
    {
        for (int left = reader.ReadNumber(0, int.MaxValue, "the number of clients that are counted"); left > 0; left--)
        {
            ConnectionId id = new(reader.Read<ulong>());
            CountedClient client = reader.Read<CountedClient>();
            reader.Check(id.Value < ulong.MaxValue && client.Address.IsPossible && !TryGet(id, out _), "a client that is counted");
            Add(id, client);
            add(client);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TableShard<CountedClient> shard in _shards) shard.Table.Dispose();
    }
}
