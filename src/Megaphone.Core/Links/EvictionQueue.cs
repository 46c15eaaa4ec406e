using System.Diagnostics.CodeAnalysis;

namespace Megaphone.Links;

/// <summary>Chooses which of many connections is evicted when there are too many: the oldest one of the address that has the most.</summary>
/// <remarks>
/// An address that opens very many evicts its own, and addresses that have few are not affected. Among addresses with equally many it is the
/// oldest of all. Thread-safe. An eviction takes time proportional to the number of addresses.
/// </remarks>
/// <typeparam name="T">The type of the items; each is in the queue once.</typeparam>
internal sealed class EvictionQueue<T>
    where T : class
{
    private readonly Dictionary<T, LinkedListNode<Member>> _members = [];
    private readonly Dictionary<PeerAddress, LinkedList<Member>> _byAddress = [];
    private readonly Lock _lock = new();
    private long _arrivals;

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _members.Count;
        }
    }

    /// <summary>Adds an item that has just arrived.</summary>
    public void Add(T item, PeerAddress address)
    {
        lock (_lock)
        {
            if (!_byAddress.TryGetValue(address, out LinkedList<Member>? all)) _byAddress[address] = all = new LinkedList<Member>();
            _members.Add(item, all.AddLast(new Member(item, address, _arrivals++)));
        }
    }

    /// <summary>Removes an item, if it is there.</summary>
    public void Remove(T item)
    {
        lock (_lock)
        {
            if (!_members.Remove(item, out LinkedListNode<Member>? node)) return;
            LinkedList<Member> all = node.List!;
            all.Remove(node);
            if (all.Count == 0) _byAddress.Remove(node.Value.Address);
        }
    }

    /// <summary>Removes the item to be evicted.</summary>
    /// <returns>False when there is none.</returns>
    public bool TryEvict([NotNullWhen(true)] out T? item)
    {
        lock (_lock)
        {
            LinkedList<Member>? most = null;
            foreach (LinkedList<Member> all in _byAddress.Values)
            {
                if (most is null
                    || all.Count > most.Count
                    || (all.Count == most.Count && all.First!.Value.Arrival < most.First!.Value.Arrival))
                    most = all;
            }

            item = most?.First!.Value.Item;
            if (item is not null) Remove(item);
            return item is not null;
        }
    }

    private readonly record struct Member(T Item, PeerAddress Address, long Arrival);
}
