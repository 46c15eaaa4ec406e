using Megaphone.Handover;
using Megaphone.Links;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>One link's sessions by connection id, and the ids of ended ones. Thread-safe.</summary>
/// <remarks>
/// <para>An ended id must not open a session again while packets for it may be in flight (section 2 of the link
/// protocol), so it is kept; the oldest is removed when there are more than <c>maxEndedIds</c>.</para>
/// <para>It is plain data, of which the garbage collector need not scan anything. It is sharded into small hash tables with a lock each, so that
/// a lookup rarely waits, and no single step, not even growing or enumerating, takes longer with more sessions. Its cost does
/// not depend on the ids, which the other side chooses (<see cref="KeyedNumber"/>).</para>
/// </remarks>
/// <param name="maxEndedIds">The most ended ids that are kept.</param>
internal sealed class SessionTable(int maxEndedIds)
{
    private const int Shards = 256;

    /// <summary>The unit in which times of activity are kept: 32 bits of it are two years, and no idle timeout is longer than one.</summary>
    private const int ActivityMilliseconds = 16;

    private readonly Shard[] _shards = [.. Enumerable.Range(0, Shards).Select(_ => new Shard())];
    private readonly Queue<ulong> _ended = new();
    private readonly Lock _endLock = new();
    private int _open;

    /// <summary>The state of an id.</summary>
    internal enum State : byte
    {
        /// <summary>It has no session: a packet for it opens one.</summary>
        Unknown,

        /// <summary>Its session is open.</summary>
        Open,

        /// <summary>Its session has ended.</summary>
        Ended,
    }

    /// <summary>The number of open sessions.</summary>
    public int OpenCount => Volatile.Read(ref _open);

    /// <summary>Looks up an id.</summary>
    /// <param name="id">The connection id.</param>
    /// <param name="connection">The session's connection to the backend, if it is open and has one.</param>
    public State Find(ulong id, out ConnectionId connection)
    {
        uint hash = HashOf(id);
        return ShardOf(hash).Find(id, hash, out connection);
    }

    /// <summary>Adds a session under an id that is unknown.</summary>
    public void Add(ulong id)
    {
        uint hash = HashOf(id);
        ShardOf(hash).Set(id, hash, State.Open);
        Interlocked.Increment(ref _open);
    }

    /// <summary>Sets a session's connection to the backend, unless the session has ended already.</summary>
    public void SetConnection(ulong id, ConnectionId connection)
    {
        uint hash = HashOf(id);
        ShardOf(hash).SetConnection(id, hash, connection);
    }

    /// <summary>Records activity on a session.</summary>
    public void Touch(ulong id)
    {
        uint hash = HashOf(id);
        ShardOf(hash).Touch(id, hash);
    }

    /// <summary>Ends a session, and keeps its id as ended.</summary>
    /// <returns>False when it was not open.</returns>
    public bool End(ulong id)
    {
        lock (_endLock)
        {
            if (Find(id, out _) != State.Open) return false;
            MarkEnded(id);
            Interlocked.Decrement(ref _open);
            return true;
        }
    }

    /// <summary>Removes a session, and its id with it.</summary>
    public void Remove(ulong id)
    {
        lock (_endLock)
        {
            if (Find(id, out _) != State.Open) return;
            uint hash = HashOf(id);
            ShardOf(hash).Remove(id, hash);
            Interlocked.Decrement(ref _open);
        }
    }

    /// <summary>Keeps an id whose session was refused as ended.</summary>
    public void Refuse(ulong id)
    {
        lock (_endLock)
        {
            if (Find(id, out _) != State.Ended) MarkEnded(id);
        }
    }

    /// <summary>Enumerates the open sessions, with or without those that open or end meanwhile.</summary>
    /// <param name="idleFor">Only those without activity for this long, at most a year.</param>
    public IEnumerable<(ulong Id, ConnectionId Connection)> Open(TimeSpan idleFor = default)
    {
        foreach (Shard shard in _shards)
        {
            uint idleUnits = (uint)(idleFor.TotalMilliseconds / ActivityMilliseconds);
            foreach (Entry entry in shard.CopyOpen(idleUnits)) yield return (entry.Id, entry.Connection);
        }
    }

    /// <summary>Writes it. Nobody uses it.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(OpenCount);
        foreach (Shard shard in _shards) shard.SaveOpen(writer);
        writer.Write(_ended.Count);
        foreach (ulong id in _ended) writer.Write(id);
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    /// <param name="reader">The state.</param>
    /// <param name="maxEndedIds">The most ended ids that are kept.</param>
    /// <param name="areActiveNow">Whether the sessions count as active now, since their activity was not recorded.</param>
    /// <exception cref="StateException">It cannot be.</exception>
    public static SessionTable Restore(StateReader reader, int maxEndedIds, bool areActiveNow)
    {
        SessionTable table = new(maxEndedIds);
        for (int left = reader.ReadNumber(0, int.MaxValue, "the number of sessions"); left > 0; left--)
        {
            Entry entry = new() { Id = reader.Read<ulong>(), Connection = reader.Read<ConnectionId>(), ActiveAt = reader.Read<uint>() };
            reader.Check(table.Find(entry.Id, out _) == State.Unknown, "a session that is there twice");
            table.Add(entry.Id);
            table.ShardOf(HashOf(entry.Id)).Restore(entry, areActiveNow);
        }

        for (int left = reader.ReadNumber(0, maxEndedIds, "the number of ended sessions"); left > 0; left--)
        {
            ulong id = reader.Read<ulong>();
            reader.Check(table.Find(id, out _) == State.Unknown, "an ended session that is there twice");
            table.MarkEnded(id);
        }

        return table;
    }

    private static uint HashOf(ulong id) => (uint)new KeyedNumber(id).GetHashCode();

    private Shard ShardOf(uint hash) => _shards[hash % Shards];

    private void MarkEnded(ulong id)
    {
        uint hash = HashOf(id);
        ShardOf(hash).Set(id, hash, State.Ended);
        _ended.Enqueue(id);
        if (_ended.Count <= maxEndedIds) return;
        ulong oldest = _ended.Dequeue();
        hash = HashOf(oldest);
        ShardOf(hash).Remove(oldest, hash);
    }

    /// <summary>A hash table with linear probing, at most half full.</summary>
    private sealed class Shard
    {
        private const int MinEntries = 8;

        private Entry[] _entries = [];
        private SpinLock _lock = new(enableThreadOwnerTracking: false);
        private int _count;

        public State Find(ulong id, uint hash, out ConnectionId connection)
        {
            bool locked = false;
            _lock.Enter(ref locked);
            int index = IndexOf(id, hash);
            State state = index < 0 ? State.Unknown : _entries[index].State;
            connection = index < 0 ? default : _entries[index].Connection;
            _lock.Exit();
            return state;
        }

        public void Set(ulong id, uint hash, State state)
        {
            bool locked = false;
            _lock.Enter(ref locked);
            try
            {
                int index = IndexOf(id, hash);
                if (index < 0)
                {
                    if (2 * (_count + 1) > _entries.Length) Grow();
                    index = Insert(new Entry { Id = id });
                    _count++;
                }

                _entries[index] = new Entry { Id = id, State = state, ActiveAt = Now() };
            }
            finally
            {
                // Growing may run out of memory.
                _lock.Exit();
            }
        }

        public void SetConnection(ulong id, uint hash, ConnectionId connection)
        {
            bool locked = false;
            _lock.Enter(ref locked);
            int index = IndexOf(id, hash);
            if (index >= 0 && _entries[index].State == State.Open) _entries[index].Connection = connection;
            _lock.Exit();
        }

        public void Touch(ulong id, uint hash)
        {
            bool locked = false;
            _lock.Enter(ref locked);
            int index = IndexOf(id, hash);
            if (index >= 0) _entries[index].ActiveAt = Now();
            _lock.Exit();
        }

        public void Remove(ulong id, uint hash)
        {
            bool locked = false;
            _lock.Enter(ref locked);
            int gap = IndexOf(id, hash);
            if (gap >= 0)
            {
                // Move entries after the gap into it if a probe would not find them across it.
                int mask = _entries.Length - 1;
                for (int index = (gap + 1) & mask; _entries[index].State != State.Unknown; index = (index + 1) & mask)
                {
                    if (((index - Home(HashOf(_entries[index].Id))) & mask) < ((index - gap) & mask)) continue;
                    _entries[gap] = _entries[index];
                    gap = index;
                }

                _entries[gap] = default;
                _count--;
            }

            _lock.Exit();
        }

        public Entry[] CopyOpen(uint idleUnits)
        {
            bool locked = false;
            _lock.Enter(ref locked);
            try
            {
                // With the lock held no activity can be later than this.
                uint now = Now();
                int count = 0;
                foreach (ref readonly Entry entry in _entries.AsSpan())
                {
                    if (entry.State == State.Open && now - entry.ActiveAt >= idleUnits) count++;
                }

                // Nearly always none: idle sessions are looked for all the time.
                if (count == 0) return [];
                Entry[] open = new Entry[count];
                foreach (ref readonly Entry entry in _entries.AsSpan())
                {
                    if (entry.State == State.Open && now - entry.ActiveAt >= idleUnits) open[--count] = entry;
                }

                return open;
            }
            finally
            {
                _lock.Exit();
            }
        }

        /// <summary>Writes the open sessions. Nobody uses them.</summary>
        public void SaveOpen(StateWriter writer)
        {
            foreach (ref readonly Entry entry in _entries.AsSpan())
            {
                if (entry.State != State.Open) continue;
                writer.Write(entry.Id);
                writer.Write(entry.Connection);
                writer.Write(entry.ActiveAt);
            }
        }

        /// <summary>Sets the connection and, unless it is active now, the activity of a session that was added. Nobody else uses it.</summary>
        public void Restore(in Entry entry, bool isActiveNow)
        {
            ref Entry added = ref _entries[IndexOf(entry.Id, HashOf(entry.Id))];
            added.Connection = entry.Connection;
            if (!isActiveNow) added.ActiveAt = entry.ActiveAt;
        }

        private static uint Now() => (uint)(Environment.TickCount64 / ActivityMilliseconds);

        /// <summary>An entry's preferred slot. The lower bits of the hash select the shard.</summary>
        private int Home(uint hash) => (int)(hash / Shards) & (_entries.Length - 1);

        private int IndexOf(ulong id, uint hash)
        {
            if (_entries.Length == 0) return -1;
            for (int index = Home(hash); _entries[index].State != State.Unknown; index = (index + 1) & (_entries.Length - 1))
            {
                if (_entries[index].Id == id) return index;
            }

            return -1;
        }

        private int Insert(in Entry entry)
        {
            int index = Home(HashOf(entry.Id));
            while (_entries[index].State != State.Unknown) index = (index + 1) & (_entries.Length - 1);
            _entries[index] = entry;
            return index;
        }

        private void Grow()
        {
            Entry[] old = _entries;
            _entries = new Entry[Math.Max(MinEntries, 2 * old.Length)];
            foreach (ref readonly Entry entry in old.AsSpan())
            {
                if (entry.State != State.Unknown) Insert(entry);
            }
        }
    }

    /// <summary>The entry of an id: 24 bytes.</summary>
    private struct Entry
    {
        public ulong Id;
        public ConnectionId Connection;

        /// <summary>The time of the last activity: the lower 32 bits, in units of <see cref="ActivityMilliseconds"/>.</summary>
        public uint ActiveAt;

        /// <summary><see cref="State.Unknown"/>: the entry is free.</summary>
        public State State;
    }
}
