using Megaphone.Interop;

namespace Megaphone.Reactor;

/// <summary>Connections that other threads want a reactor to bring up to date: a list of bounded length, in memory of its own.</summary>
/// <remarks>
/// Not thread-safe. A million clients that leave at the same time fill it in bursts; a managed list would leave garbage as it grows,
/// or keep half a megabyte for good.
/// </remarks>
internal sealed unsafe class PostedIds : IDisposable
{
    /// <summary>How many it holds: so many that to bring all connections up to date instead costs little for each.</summary>
    public const int Capacity = 1 << 16;

    /// <summary>Ids for which memory is kept: 32 KiB.</summary>
    private const int KeptIds = 4096;

    private readonly ReservedMemory _memory = new(Capacity * (nuint)sizeof(ConnectionId));
    private int _count;

    /// <summary>The ids, valid until the next call.</summary>
    public ReadOnlySpan<ConnectionId> Ids => new(_memory.Start, _count);

    /// <summary>Adds an id.</summary>
    /// <returns>False when the list is full.</returns>
    public bool TryAdd(ConnectionId id)
    {
        if (_count == Capacity) return false;
        ((ConnectionId*)_memory.Start)[_count++] = id;
        return true;
    }

    /// <summary>Empties it.</summary>
    public void Clear()
    {
        if (_count > KeptIds) _memory.GiveBack(0, Capacity * (nuint)sizeof(ConnectionId));
        _count = 0;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _memory.Dispose();
}
