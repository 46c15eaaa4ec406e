using System.Runtime.CompilerServices;
using Megaphone.Handover;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>The connections of one reactor: slots in native memory, and beside them the handler's state, what waits to be sent, and TLS.</summary>
/// <remarks>
/// Slots never move, so one may be used by reference while others are allocated. They are allocated from the lowest chunk that has
/// room, and a chunk that nobody uses any more gives its memory back. Allocating and freeing are thread-safe; what is in a slot, and
/// beside it, is guarded by the slot's own gate.
/// </remarks>
/// <param name="reactor">The reactor's number in its group.</param>
/// <param name="capacity">The connections it may hold.</param>
/// <param name="gaveBack">Is told of slots, the first of them and how many, that nobody uses, and whose memory has been given back.</param>
/// <typeparam name="TState">What the handler keeps for each connection.</typeparam>
internal sealed class ConnectionTable<TState>(int reactor, int capacity, Action<int, int>? gaveBack = null) : IDisposable
    where TState : unmanaged
{
    /// <summary>Slots of a chunk: their memory is whole pages, as long as what there is for each slot divides by four.</summary>
    private const int ChunkBits = 10;
    private const int ChunkSlots = 1 << ChunkBits;
    private const int NoSlot = -1;

    private readonly SlotMemory<ConnectionSlot> _slots = new(Chunks(capacity) * ChunkSlots);
    private readonly SlotMemory<TState> _states = new(Chunks(capacity) * ChunkSlots);
    private readonly SlotMemory<OutputBacklog> _backlogs = new(Chunks(capacity) * ChunkSlots);
    private readonly SlotMemory<SecuredState> _secured = new(Chunks(capacity) * ChunkSlots, isSecret: true);
    private readonly SlotMemory<OpenSslState> _openSsl = new(Chunks(capacity) * ChunkSlots);
    private readonly Chunk[] _chunks = [.. Enumerable.Repeat(new Chunk { FirstFree = NoSlot }, Chunks(capacity))];
    private readonly Lock _lock = new();
    private int _lowest;
    private int _used;
    private int _count;

    /// <summary>Connections in the table now.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Walking the slots up to here meets every connection. Slots between them may be free.</summary>
    public int Used => Volatile.Read(ref _used);

    /// <summary>Allocates a slot, with a new generation and its gate held by the caller.</summary>
    /// <returns>False when all are used.</returns>
    public bool TryAllocate(out ConnectionId id)
    {
        id = default;
        lock (_lock)
        {
            if (_count == capacity) return false;
            while (_chunks[_lowest].Count == SlotsOf(_lowest)) _lowest++;
            ref Chunk chunk = ref _chunks[_lowest];
            int index = chunk.FirstFree;
            if (index != NoSlot) chunk.FirstFree = Slot(index).Next;
            else index = (_lowest << ChunkBits) + chunk.Used++;
            chunk.Count++;
            _count++;
            if (index >= _used) Volatile.Write(ref _used, index + 1);

            ref ConnectionSlot slot = ref Slot(index);
            slot.Enter();
            uint last = slot.Generation == 0 ? chunk.Generation : slot.Generation;
            slot.Generation = last == uint.MaxValue ? 1 : last + 1;
            slot.Flags = ConnectionFlags.None;
            slot.Descriptor = -1;
            slot.Attempt = 0;
            slot.Reason = default;
            id = new ConnectionId(slot.Generation, reactor, index);
            return true;
        }
    }

    /// <summary>Frees a slot. The connection must be closed and its handler told, and the caller must not hold the gate.</summary>
    public void Free(int index)
    {
        lock (_lock)
        {
            int number = index >> ChunkBits;
            ref Chunk chunk = ref _chunks[number];
            Slot(index).Next = chunk.FirstFree;
            chunk.FirstFree = index;
            chunk.Count--;
            _count--;

            // The chunk that the next connection comes to keeps its memory, for those who come and go.
            int other = Math.Max(number, _lowest);
            _lowest = Math.Min(number, _lowest);
            if (other != _lowest && _chunks[other].Count == 0) GiveBack(other);
        }
    }

    /// <summary>The slot with this index, which must be within the capacity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref ConnectionSlot Slot(int index) => ref _slots[index];

    /// <summary>What there is to see of a connection, whose gate is held.</summary>
    public SurveyedConnection Describe(ConnectionId id)
    {
        ref ConnectionSlot slot = ref Slot(id.Slot);
        SecurityParameters tls = slot.HasRecords ? Secured(id.Slot).Tls.Parameters : default;
        return new SurveyedConnection(id, slot.Owner, slot.Descriptor, slot.Flags, tls);
    }

    /// <summary>Whose slot this is, or was last; the id of nobody where its memory was given back.</summary>
    public ConnectionId IdAt(int index) => new(Volatile.Read(ref Slot(index).Generation), reactor, index);

    /// <summary>The handler's state for a slot.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref TState State(int index) => ref _states[index];

    /// <summary>What waits to be sent for a slot: something if it is <see cref="ConnectionFlags.OutputQueued"/>. The gate must be held.</summary>
    public ref OutputBacklog Backlog(int index) => ref _backlogs[index];

    /// <summary>The TLS of a slot that <see cref="ConnectionSlot.HasRecords"/>.</summary>
    public ref SecuredState Secured(int index) => ref _secured[index];

    /// <summary>The TLS of a slot that has <see cref="ConnectionFlags.OpenSslRecords"/>.</summary>
    public ref OpenSslState OpenSsl(int index) => ref _openSsl[index];

    /// <summary>Finds a connection that is open, and takes its gate.</summary>
    /// <returns>False, and no gate is held, when it is closed or never existed.</returns>
    public bool TryEnter(ConnectionId id)
    {
        int index = id.Slot;
        if (index >= Used || id.Generation == 0) return false;
        ref ConnectionSlot slot = ref Slot(index);

        // A generation does not come again. Memory that was given back is not to come back only for being looked at.
        if (Volatile.Read(ref slot.Generation) != id.Generation) return false;
        slot.Enter();
        if (slot.IsOpen(id)) return true;
        slot.Exit();
        return false;
    }

    /// <summary>Whether a connection has a flag that stays once it is set. Any thread, without the gate.</summary>
    public bool Has(ConnectionId id, ConnectionFlags flag)
    {
        if (id.Slot >= Used || id.Generation == 0) return false;
        ref ConnectionSlot slot = ref Slot(id.Slot);
        return Volatile.Read(ref slot.Generation) == id.Generation && slot.Is(flag);
    }

    /// <summary>Whether a connection is open. Only for the thread that closes.</summary>
    public bool IsOpen(ConnectionId id)
    {
        int index = id.Slot;
        return index < Used && id.Generation != 0 && Slot(index).IsOpen(id);
    }

    /// <summary>Writes all slots, and all that lies beside them.</summary>
    /// <exception cref="StateException">The records of a connection are OpenSSL's.</exception>
    public void Save(StateWriter writer, IStateKeeper<TState> keeper)
    {
        int chunks = Array.FindLastIndex(_chunks, chunk => chunk.Used > 0 || chunk.Generation > 0) + 1;
        writer.Write(chunks);
        for (int number = 0; number < chunks; number++)
        {
            writer.Write(_chunks[number]);
            int first = number << ChunkBits;
            for (int index = first; index < first + _chunks[number].Used; index++) Save(index, writer, keeper);
        }
    }

    /// <summary>Reads what <see cref="Save(StateWriter, IStateKeeper{TState})"/> has written into this table, which is empty.</summary>
    /// <param name="reader">The state.</param>
    /// <param name="keeper">Reads what the handler keeps.</param>
    /// <returns>Bytes that wait to be sent, and the memory that these and kept input take.</returns>
    /// <exception cref="StateException">It cannot be.</exception>
    public (long Buffered, long BufferMemory) Restore(StateReader reader, IStateKeeper<TState> keeper)
    {
        (long Buffered, long BufferMemory) sums = default;
        int chunks = reader.ReadNumber(0, _chunks.Length, "more connections than may be");
        for (int number = 0; number < chunks; number++)
        {
            Chunk chunk = reader.Read<Chunk>();
            reader.Check(chunk.Used >= 0 && chunk.Used <= SlotsOf(number) && chunk.Count >= 0 && chunk.Count <= chunk.Used, "a chunk's slots");
            reader.Check(number < chunks - 1 || chunk.Used > 0 || chunk.Generation > 0, "a chunk that was never used");
            _chunks[number] = chunk;
            int first = number << ChunkBits;
            if (chunk.Used > 0) _used = first + chunk.Used;
            for (int index = first; index < first + chunk.Used; index++) Restore(index, reader, keeper, ref sums);
            CheckFree(number, reader);
            _count += chunk.Count;
        }

        return sums;
    }

    /// <summary>Frees the native memory. No thread may use the table any more.</summary>
    public void Dispose()
    {
        _slots.Dispose();
        _states.Dispose();
        _backlogs.Dispose();
        _secured.Dispose();
        _openSsl.Dispose();
    }

    private static int Chunks(int capacity) => (capacity + ChunkSlots - 1) / ChunkSlots;

    private int SlotsOf(int chunk) => Math.Min(ChunkSlots, capacity - (chunk << ChunkBits));

    /// <summary>Whether the handler keeps something for a connection: until it knows that it is closed.</summary>
    private static bool IsKept(in ConnectionSlot slot) => !slot.Is(ConnectionFlags.CloseReported);

    private void Save(int index, StateWriter writer, IStateKeeper<TState> keeper)
    {
        ref ConnectionSlot slot = ref Slot(index);
        if (slot.FindDamage() is { } damage) throw new StateException($"a connection: {damage}");
        writer.Write(slot);
        writer.HandOver(slot.Descriptor);
        if (IsKept(slot)) keeper.Save(IdAt(index), ref State(index), writer);
        if (slot.Is(ConnectionFlags.OutputQueued)) writer.WriteBytes(Backlog(index).Waiting);
        if (!slot.Is(ConnectionFlags.Secured)) return;
        ref SecuredState secured = ref Secured(index);
        writer.Write(secured.Tls);
        writer.WriteBytes(secured.Kept.Opened);
        writer.WriteBytes(secured.Kept.Received);
    }

    private void Restore(int index, StateReader reader, IStateKeeper<TState> keeper, ref (long Buffered, long BufferMemory) sums)
    {
        ConnectionSlot slot = reader.Read<ConnectionSlot>();
        if (slot.FindDamage() is { } damage) reader.Check(false, $"a connection: {damage}");
        if (slot.Descriptor >= 0) reader.Claim(slot.Descriptor, "a connection's descriptor");
        Slot(index) = slot;
        if (IsKept(slot)) State(index) = keeper.Restore(IdAt(index), reader);

        // Of most there is neither backlog nor TLS, and to look is to have the kernel make a page of zeros, thousands of times.
        if (slot.Is(ConnectionFlags.OutputQueued))
        {
            ref OutputBacklog backlog = ref Backlog(index);
            backlog.Append(reader.ReadBytes(int.MaxValue / 2, "what waits to be sent"));
            reader.Check(backlog.Count > 0, "nothing waits to be sent");
            sums.Buffered += backlog.Count;
            sums.BufferMemory += backlog.Capacity;
        }

        if (!slot.Is(ConnectionFlags.Secured)) return;
        ref SecuredState secured = ref Secured(index);
        secured.Tls = reader.Read<TlsConnectionState>();
        reader.Check(secured.Tls.IsPossible, "a connection's TLS");
        ReadOnlySpan<byte> opened = reader.ReadBytes(SecurityParameters.MaxContentBytes, "input that was opened");
        secured.Kept.Keep(opened, reader.ReadBytes(TlsRecordBuffer.Capacity, "input that was not opened"));
        sums.BufferMemory += secured.Kept.Bytes;
    }

    /// <summary>Every slot of a chunk is either free and in the list of those, or holds a connection.</summary>
    private void CheckFree(int number, StateReader reader)
    {
        Chunk chunk = _chunks[number];
        int first = number << ChunkBits;
        Span<bool> isFree = stackalloc bool[ChunkSlots];
        isFree.Clear();
        int index = chunk.FirstFree;
        for (int left = chunk.Used - chunk.Count; left > 0; left--, index = Slot(index).Next)
        {
            reader.Check(index >= first && index < first + chunk.Used && !isFree[index - first], "the list of free slots");
            reader.Check(Slot(index).Is(ConnectionFlags.Closed) && !Slot(index).Is(ConnectionFlags.InStalledQueue), "a free slot in use");
            isFree[index - first] = true;
        }

        reader.Check(index == NoSlot, "the end of the list of free slots");
    }

    /// <summary>Gives back the memory of a chunk of which every slot is free. The lock is held.</summary>
    private void GiveBack(int number)
    {
        ref Chunk chunk = ref _chunks[number];
        int first = number << ChunkBits;
        for (int index = first; index < first + chunk.Used; index++)
        {
            // A thread that is finding out that a connection is closed holds its gate: it goes first. What zeroes the gates opens them.
            ref ConnectionSlot slot = ref Slot(index);
            slot.Enter();
            chunk.Generation = Math.Max(chunk.Generation, slot.Generation);
        }

        _backlogs.GiveBack(first, ChunkSlots);
        _secured.GiveBack(first, ChunkSlots);
        _openSsl.GiveBack(first, ChunkSlots);
        _states.GiveBack(first, ChunkSlots);
        _slots.GiveBack(first, ChunkSlots);
        gaveBack?.Invoke(first, ChunkSlots);
        chunk.FirstFree = NoSlot;
        chunk.Used = 0;

        int top = Used >> ChunkBits;
        while (top > 0 && (top == _chunks.Length || _chunks[top].Used == 0)) top--;
        Volatile.Write(ref _used, (top << ChunkBits) + _chunks[top].Used);
    }

    /// <summary>Slots that lie together.</summary>
    private struct Chunk
    {
        /// <summary>The first of the free slots that have been used; <see cref="NoSlot"/> when there is none.</summary>
        public int FirstFree;

        /// <summary>The slots that have been used since the chunk was empty.</summary>
        public int Used;

        /// <summary>Connections in it.</summary>
        public int Count;

        /// <summary>The highest generation of its slots before its memory was given back.</summary>
        public uint Generation;
    }
}
