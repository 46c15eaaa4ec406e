using System.Numerics;
using Megaphone.Handover;
using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>Deadlines that all lie the same time ahead, so that the order of arrival is the order of falling due.</summary>
/// <remarks>
/// <para>Not thread-safe. A deadline is checked against its connection when it falls due, so none has to be
/// removed early; <see cref="Sift"/> keeps those that no longer matter from outnumbering the others.</para>
/// <para>A ring in memory of its own, 16 bytes a deadline, that is given back behind the oldest one: a million clients that leave
/// together leave no garbage behind.</para>
/// </remarks>
internal sealed unsafe class DeadlineQueue : IDisposable
{
    /// <summary>Entries whose memory is given back together: 64 KiB.</summary>
    private const int Block = 4096;

    private readonly ReservedMemory _ring;
    private readonly long _capacity;
    private readonly long _afterMilliseconds;
    private readonly Func<ConnectionId, byte, bool> _matters;
    private long _head;
    private long _tail;

    /// <summary>Makes an empty one.</summary>
    /// <param name="after">How far ahead its deadlines lie.</param>
    /// <param name="connections">For how many connections there may be a deadline that matters.</param>
    /// <param name="matters">Whether this deadline of a connection's does; true for one at most of each connection.</param>
    /// <exception cref="IOException">There is no address space for it.</exception>
    public DeadlineQueue(TimeSpan after, int connections, Func<ConnectionId, byte, bool> matters)
    {
        _afterMilliseconds = (long)after.TotalMilliseconds;
        _matters = matters;
        _capacity = (long)BitOperations.RoundUpToPowerOf2(2 * ((ulong)connections + Block));
        _ring = new ReservedMemory((nuint)_capacity * (nuint)sizeof(Entry));
    }

    /// <summary>Deadlines in it, those included that no longer matter.</summary>
    public long Count => _tail - _head;

    /// <summary>Arms a deadline for a connection.</summary>
    /// <param name="id">The connection.</param>
    /// <param name="now">The time, as <see cref="Environment.TickCount64"/> tells it.</param>
    /// <param name="attempt">Which attempt of the connection's it is for.</param>
    public void Arm(ConnectionId id, long now, byte attempt = 0)
    {
        // The tail may not enter the block of the oldest entry, which has not been given back.
        if (Count == _capacity - Block) SiftAll();
        Add(new Entry(now + _afterMilliseconds, id, attempt));
    }

    /// <summary>Takes one connection whose deadline has passed.</summary>
    public bool TryTakeDue(long now, out ConnectionId id, out byte attempt)
    {
        (id, attempt) = (default, 0);
        if (UntilNext(now) > 0) return false;
        Entry entry = Take();
        (id, attempt) = (entry.Id, entry.Attempt);
        return true;
    }

    /// <summary>Milliseconds until the first deadline; <see cref="int.MaxValue"/> when there is none.</summary>
    public int UntilNext(long now) => Count == 0 ? int.MaxValue : (int)Math.Clamp(At(_head).Due - now, 0, int.MaxValue);

    /// <summary>Removes the deadlines that no longer matter, if they are the greater part. To be called now and then.</summary>
    /// <param name="connections">How many connections there are.</param>
    public void Sift(int connections)
    {
        if (Count > 2L * connections + Block) SiftAll();
    }

    /// <summary>Writes all deadlines.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write((int)Count);
        for (long at = _head; at < _tail; at++) writer.Write(At(at));
    }

    /// <summary>Reads deadlines; none of them may lie further ahead than a new one.</summary>
    /// <exception cref="StateException">There are more than there can be.</exception>
    public void Restore(StateReader reader)
    {
        long latest = Environment.TickCount64 + _afterMilliseconds;
        for (int left = reader.ReadNumber(0, (int)Math.Min(int.MaxValue, _capacity - Block), "the number of deadlines"); left > 0; left--)
        {
            Entry entry = reader.Read<Entry>();
            Add(entry.Due <= latest ? entry : new Entry(latest, entry.Id, entry.Attempt));
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _ring.Dispose();

    private void SiftAll()
    {
        for (long left = Count; left > 0; left--)
        {
            Entry entry = Take();
            if (_matters(entry.Id, entry.Attempt)) Add(entry);
        }
    }

    private void Add(Entry entry) => At(_tail++) = entry;

    private Entry Take()
    {
        Entry entry = At(_head++);
        if (_head % Block == 0)
        {
            nuint bytes = Block * (nuint)sizeof(Entry);
            _ring.GiveBack((nuint)((_head - Block) & (_capacity - 1)) * (nuint)sizeof(Entry), bytes);
        }

        return entry;
    }

    private ref Entry At(long position) => ref ((Entry*)_ring.Start)[position & (_capacity - 1)];

    /// <summary>One deadline.</summary>
    private readonly struct Entry(long due, ConnectionId id, byte attempt)
    {
        // 55 bits of milliseconds: a million years.
        private readonly long _dueAndAttempt = due << 8 | attempt;

        public long Due => _dueAndAttempt >> 8;

        public byte Attempt => (byte)_dueAndAttempt;

        public ConnectionId Id => id;
    }
}
