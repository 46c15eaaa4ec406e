namespace Megaphone.Hub;

/// <summary>A hub's links by index, so that plain data of a session can name its link without a reference. Thread-safe.</summary>
/// <remarks>A link has an index from when it is up until it is down and its last session is over.</remarks>
internal sealed class HubLinks
{
    private readonly Lock _lock = new();
    private readonly Stack<int> _free = new();
    private volatile HubLink?[] _links = new HubLink?[16];
    private int _used;

    /// <summary>The link with this index, which must be in use.</summary>
    public HubLink this[int index] => _links[index]!;

    /// <summary>The links that are there now.</summary>
    public HubLink[] All() => [.. _links.OfType<HubLink>()];

    /// <summary>Adds a link.</summary>
    /// <returns>Its index.</returns>
    public int Add(HubLink link)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out int index)) index = _used++;
            HubLink?[] links = _links;
            if (index == links.Length) Array.Resize(ref links, 2 * index);
            links[index] = link;
            _links = links;
            return index;
        }
    }

    /// <summary>Frees an index.</summary>
    public void Remove(int index)
    {
        lock (_lock)
        {
            _links[index] = null;
            _free.Push(index);
        }
    }
}
