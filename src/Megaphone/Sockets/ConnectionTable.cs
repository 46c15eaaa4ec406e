using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Megaphone.Metrics;
using Megaphone.Tls;

namespace Megaphone.Sockets;

/// <summary>The connections of one reactor: slots in native memory, the handler's state beside them.</summary>
/// <remarks>
/// Grows by chunks, which never move, so a slot may be used by reference while others are taken. Taking and freeing
/// are thread-safe; what is in a slot is guarded by the slot's own gate.
/// </remarks>
internal sealed unsafe class ConnectionTable<TState>(int reactor, int capacity) : IDisposable
{
    private const int ChunkBits = 10;
    private const int ChunkSlots = 1 << ChunkBits;
    private const int NoSlot = -1;

    private readonly ConnectionSlot*[] _slots = new ConnectionSlot*[(capacity + ChunkSlots - 1) / ChunkSlots];
    private readonly TState[]?[] _states = new TState[(capacity + ChunkSlots - 1) / ChunkSlots][];
    private readonly OutputBacklog?[]?[] _backlogs = new OutputBacklog?[(capacity + ChunkSlots - 1) / ChunkSlots][];
    private readonly nint[]?[] _sessions = new nint[(capacity + ChunkSlots - 1) / ChunkSlots][];
    private readonly Lock _lock = new();
    private int _firstFree = NoSlot;
    private int _used;
    private int _count;

    /// <summary>The number of the reactor whose table this is.</summary>
    public int Reactor => reactor;

    /// <summary>Connections in the table now.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The slots that have ever been used: walking up to here meets every connection.</summary>
    public int Used => Volatile.Read(ref _used);

    /// <summary>Takes a slot, with a new generation and its gate held by the caller.</summary>
    /// <returns>Null when it was taken; else what there is too much or too little of.</returns>
    public RefusalReason? TryTake(out ConnectionId id)
    {
        id = default;
        lock (_lock)
        {
            int index = _firstFree;
            if (index != NoSlot)
            {
                _firstFree = Slot(index).NextFree;
            }
            else
            {
                index = _used;
                if (index == capacity) return RefusalReason.TooMany;
                if ((index & (ChunkSlots - 1)) == 0 && !TryAddChunk(index >> ChunkBits)) return RefusalReason.Memory;
                Volatile.Write(ref _used, index + 1);
            }

            ref ConnectionSlot slot = ref Slot(index);
            slot.Enter();
            slot.Generation = slot.Generation == uint.MaxValue ? 1 : slot.Generation + 1;
            slot.Flags = ConnectionFlags.None;
            slot.Descriptor = -1;
            slot.Attempt = 0;
            _count++;
            id = new ConnectionId(slot.Generation, reactor, index);
            return null;
        }
    }

    /// <summary>Frees a slot. The connection must be closed and its handler told.</summary>
    public void Free(int index)
    {
        lock (_lock)
        {
            ref ConnectionSlot slot = ref Slot(index);
            slot.NextFree = _firstFree;
            _firstFree = index;
            _count--;
        }
    }

    /// <summary>The slot with this index, which must be below <see cref="Used"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref ConnectionSlot Slot(int index) => ref _slots[index >> ChunkBits][index & (ChunkSlots - 1)];

    /// <summary>The handler's state for a slot.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref TState State(int index) => ref _states[index >> ChunkBits]![index & (ChunkSlots - 1)];

    /// <summary>What waits to be sent for a slot, null when nothing does. The slot's gate must be held.</summary>
    public OutputBacklog? Backlog(int index) => _backlogs[index >> ChunkBits]?[index & (ChunkSlots - 1)];

    /// <summary>Sets or takes away what waits. The slot's gate must be held.</summary>
    public void SetBacklog(int index, OutputBacklog? backlog)
    {
        ref OutputBacklog?[]? chunk = ref _backlogs[index >> ChunkBits];
        if (chunk is null) Interlocked.CompareExchange(ref chunk, new OutputBacklog?[ChunkSlots], null);
        chunk[index & (ChunkSlots - 1)] = backlog;
    }

    /// <summary>The TLS of a slot that is <see cref="ConnectionFlags.Secured"/>. The slot's gate must be held.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TlsSession Session(int index) => new(_sessions[index >> ChunkBits]![index & (ChunkSlots - 1)]);

    /// <summary>Sets the TLS of a slot. The slot's gate must be held. Eight bytes, and only where there is TLS at all.</summary>
    public void SetSession(int index, TlsSession session)
    {
        ref nint[]? chunk = ref _sessions[index >> ChunkBits];
        if (chunk is null) Interlocked.CompareExchange(ref chunk, new nint[ChunkSlots], null);
        chunk[index & (ChunkSlots - 1)] = session.Handle;
    }

    /// <summary>Finds a connection that is still there, and takes its gate.</summary>
    /// <returns>False, and no gate is held, when it is gone or was never there.</returns>
    public bool TryEnter(ConnectionId id)
    {
        int index = id.Slot;
        if (index >= Used) return false;
        ref ConnectionSlot slot = ref Slot(index);
        slot.Enter();
        if (slot.Generation == id.Generation && !slot.Is(ConnectionFlags.Closed)) return true;
        slot.Exit();
        return false;
    }

    /// <summary>Frees the native memory. No thread may use the table any more.</summary>
    public void Dispose()
    {
        for (int chunk = 0; chunk < _slots.Length && _slots[chunk] != null; chunk++)
        {
            NativeMemory.Free(_slots[chunk]);
            _slots[chunk] = null;
        }
    }

    private bool TryAddChunk(int chunk)
    {
        try
        {
            _states[chunk] = new TState[ChunkSlots];
            _slots[chunk] = (ConnectionSlot*)NativeMemory.AllocZeroed(ChunkSlots, (nuint)sizeof(ConnectionSlot));
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }
}
