using Megaphone.Links;
using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>One link's sessions by connection id, and the ids of those that are over. Thread-safe.</summary>
/// <remarks>
/// <para>An id that is over must not open a session again while packets for it may be in flight (section 2 of the link
/// protocol), so it is remembered; the oldest is forgotten when there are more than <c>remembered</c>.</para>
/// <para>It is plain data: a million sessions are no object for the garbage collector. And it is many small hash tables, each with a lock of its
/// own, so that to find an id waits for nobody, and that nothing, growing and looking at all sessions included, takes longer with more
/// sessions. What it costs does not depend on the ids, which the other side chooses (<see cref="KeyedNumber"/>).</para>
/// </remarks>
/// <param name="remembered">How many ended ids are kept.</param>
internal sealed class SessionTable(int remembered)
{
    private const int Parts = 256;

    private readonly Part[] _parts = [.. Enumerable.Range(0, Parts).Select(_ => new Part())];
    private readonly Queue<ulong> _ended = new();
    private readonly Lock _ending = new();
    private int _open;

    /// <summary>What an id stands for.</summary>
    internal enum State : byte
    {
        /// <summary>Nothing: a packet for it opens a session.</summary>
        Unknown,

        /// <summary>A session that is open.</summary>
        Open,

        /// <summary>A session that is over.</summary>
        Over,
    }

    /// <summary>Sessions that are open.</summary>
    public int OpenCount => Volatile.Read(ref _open);

    /// <summary>Finds out what an id stands for.</summary>
    /// <param name="id">The connection id.</param>
    /// <param name="connection">The session's connection to the backend, if it is open and has one.</param>
    public State Find(ulong id, out ConnectionId connection)
    {
        uint hash = HashOf(id);
        return PartOf(hash).Find(id, hash, out connection);
    }

    /// <summary>Adds a session under an id that is unknown.</summary>
    public void Add(ulong id)
    {
        uint hash = HashOf(id);
        PartOf(hash).Set(id, hash, State.Open);
        Interlocked.Increment(ref _open);
    }

    /// <summary>Gives a session its connection to the backend, unless it is over already.</summary>
    public void SetConnection(ulong id, ConnectionId connection)
    {
        uint hash = HashOf(id);
        PartOf(hash).SetConnection(id, hash, connection);
    }

    /// <summary>Notes that something was said on a session.</summary>
    public void Touch(ulong id)
    {
        uint hash = HashOf(id);
        PartOf(hash).Touch(id, hash);
    }

    /// <summary>Ends a session, and remembers that its id is over.</summary>
    /// <returns>False when it was not open.</returns>
    public bool End(ulong id)
    {
        lock (_ending)
        {
            if (Find(id, out _) != State.Open) return false;
            Remember(id);
            Interlocked.Decrement(ref _open);
            return true;
        }
    }

    /// <summary>Takes a session out as if it had never been there.</summary>
    public void Forget(ulong id)
    {
        lock (_ending)
        {
            if (Find(id, out _) != State.Open) return;
            uint hash = HashOf(id);
            PartOf(hash).Remove(id, hash);
            Interlocked.Decrement(ref _open);
        }
    }

    /// <summary>Remembers an id that never got a session as one that is over.</summary>
    public void Refuse(ulong id)
    {
        lock (_ending)
        {
            if (Find(id, out _) != State.Over) Remember(id);
        }
    }

    /// <summary>The sessions that are open; whether it has those that begin or end meanwhile is left open.</summary>
    /// <param name="idleFor">Those only on which nothing was said for so many milliseconds.</param>
    public IEnumerable<(ulong Id, ConnectionId Connection)> Open(uint idleFor = 0)
    {
        List<(ulong Id, ConnectionId Connection)> some = [];
        foreach (Part part in _parts)
        {
            some.Clear();
            part.CopyOpen(some, idleFor);
            foreach ((ulong Id, ConnectionId Connection) session in some) yield return session;
        }
    }

    private static uint HashOf(ulong id) => (uint)new KeyedNumber(id).GetHashCode();

    private Part PartOf(uint hash) => _parts[hash % Parts];

    private void Remember(ulong id)
    {
        uint hash = HashOf(id);
        PartOf(hash).Set(id, hash, State.Over);
        _ended.Enqueue(id);
        if (_ended.Count <= remembered) return;
        ulong oldest = _ended.Dequeue();
        hash = HashOf(oldest);
        PartOf(hash).Remove(oldest, hash);
    }

    /// <summary>A hash table with linear probing, half full at most.</summary>
    private sealed class Part
    {
        private const int FewestEntries = 8;

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
                // For want of memory to grow, say.
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
                // What stands behind the gap and would not be found across it moves into it.
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

        public void CopyOpen(List<(ulong Id, ConnectionId Connection)> into, uint idleFor)
        {
            uint now = Now();
            bool locked = false;
            _lock.Enter(ref locked);
            foreach (ref readonly Entry entry in _entries.AsSpan())
            {
                if (entry.State == State.Open && now - entry.ActiveAt >= idleFor) into.Add((entry.Id, entry.Connection));
            }

            _lock.Exit();
        }

        private static uint Now() => (uint)Environment.TickCount64;

        /// <summary>Where an entry belongs. The bits below say which part it is in.</summary>
        private int Home(uint hash) => (int)(hash / Parts) & (_entries.Length - 1);

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
            _entries = new Entry[Math.Max(FewestEntries, 2 * old.Length)];
            foreach (ref readonly Entry entry in old.AsSpan())
            {
                if (entry.State != State.Unknown) Insert(entry);
            }
        }
    }

    /// <summary>What is kept for an id: 24 bytes.</summary>
    private struct Entry
    {
        public ulong Id;
        public ConnectionId Connection;

        /// <summary>When something was last said, in milliseconds, of which the upper bits are missing.</summary>
        public uint ActiveAt;

        /// <summary><see cref="State.Unknown"/>: the entry is free.</summary>
        public State State;
    }
}
