using System.Diagnostics.CodeAnalysis;

namespace Megaphone.Links;

/// <summary>Decides which of many gives way when there is one too many: the oldest of the address that has the most.</summary>
/// <remarks>
/// So an address that opens very many displaces its own, and one that has few is not touched by it. Among addresses that have equally
/// many it is the oldest of all. Thread-safe. To choose takes a look at each address.
/// </remarks>
/// <typeparam name="T">What is in the crowd, each once.</typeparam>
internal sealed class Crowd<T>
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

    /// <summary>Adds one that has just arrived.</summary>
    public void Add(T item, PeerAddress address)
    {
        lock (_lock)
        {
            if (!_byAddress.TryGetValue(address, out LinkedList<Member>? all)) _byAddress[address] = all = new LinkedList<Member>();
            _members.Add(item, all.AddLast(new Member(item, address, _arrivals++)));
        }
    }

    /// <summary>Takes one out, if it is in.</summary>
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

    /// <summary>Takes out the one that gives way.</summary>
    /// <returns>False when there is none.</returns>
    public bool TryTakeOne([NotNullWhen(true)] out T? item)
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

    /// <summary>One of them.</summary>
    /// <param name="Item">Itself.</param>
    /// <param name="Address">Where it comes from.</param>
    /// <param name="Arrival">Its number in the order of arrival.</param>
    private readonly record struct Member(T Item, PeerAddress Address, long Arrival);
}
