namespace Megaphone.Reactor;

/// <summary>Connections that other threads want a reactor to look at: a list with an end, in memory of its own.</summary>
/// <remarks>
/// Not thread-safe. A million clients that leave at the same time fill it in bursts; as a list that grows it would be garbage, and as
/// one that has grown half a megabyte for good.
/// </remarks>
internal sealed unsafe class PostedIds : IDisposable
{
    /// <summary>How many there may be in it: so many that to look at everybody instead costs little for each.</summary>
    public const int Capacity = 1 << 16;

    /// <summary>Ids for which memory may stay: 32 KiB.</summary>
    private const int Few = 4096;

    private readonly ReservedMemory _memory = new(Capacity * (nuint)sizeof(ConnectionId));
    private int _count;

    /// <summary>What is in it, until it is changed.</summary>
    public ReadOnlySpan<ConnectionId> Ids => new(_memory.Start, _count);

    /// <summary>Adds one.</summary>
    /// <returns>False when it is full.</returns>
    public bool TryAdd(ConnectionId id)
    {
        if (_count == Capacity) return false;
        ((ConnectionId*)_memory.Start)[_count++] = id;
        return true;
    }

    /// <summary>Empties it.</summary>
    public void Clear()
    {
        if (_count > Few) _memory.GiveBack(0, Capacity * (nuint)sizeof(ConnectionId));
        _count = 0;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _memory.Dispose();
}
