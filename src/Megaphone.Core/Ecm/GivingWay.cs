using Megaphone.Reactor;

namespace Megaphone.Ecm;

/// <summary>The clients that are being closed to make room for others, as long as they have their places. Thread-safe.</summary>
/// <param name="most">How many there may be.</param>
internal sealed class GivingWay(int most)
{
    private readonly Lock _lock = new();
    private readonly HashSet<ConnectionId> _clients = new(most);
    private int _count;

    /// <summary>How many there are.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Adds one.</summary>
    /// <returns>False when it is in already, or there are too many.</returns>
    public bool TryAdd(ConnectionId id)
    {
        lock (_lock)
        {
            if (_clients.Count >= most || !_clients.Add(id)) return false;
            Volatile.Write(ref _count, _clients.Count);
            return true;
        }
    }

    /// <summary>Takes one out that is being closed, if it is in.</summary>
    public void Remove(ConnectionId id)
    {
        if (Count == 0) return;
        lock (_lock)
        {
            _clients.Remove(id);
            Volatile.Write(ref _count, _clients.Count);
        }
    }
}
