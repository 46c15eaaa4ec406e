namespace Megaphone.Hub;

/// <summary>A hub's links by index, so that plain data of a session can name its link without a reference. Thread-safe.</summary>
/// <remarks>A link has an index from when it is up until it is down and its last session is over.</remarks>
internal sealed class HubLinks
{
    /// <summary>More than there ever are, so that no number in damaged data takes much memory.</summary>
    public const int MaxIndex = 1 << 20;

    private readonly Lock _lock = new();
    private readonly Stack<int> _free = new();
    private volatile HubLink?[] _links = new HubLink?[16];
    private int _used;

    /// <summary>The link with this index, which must be in use.</summary>
    public HubLink this[int index] => _links[index]!;

    /// <summary>The link with this index; null: there is none.</summary>
    public HubLink? Find(int index) => index >= 0 && index < _links.Length ? _links[index] : null;

    /// <summary>The links that are there now, in the order of their indexes.</summary>
    public HubLink[] All() => [.. _links.OfType<HubLink>()];

    /// <summary>Adds a link.</summary>
    /// <returns>Its index.</returns>
    public int Add(HubLink link)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out int index)) index = _used++;
            Set(index, link);
            return index;
        }
    }

    /// <summary>Adds a link that was handed over, under the index that it had: one after the other, from the lowest on.</summary>
    /// <returns>False when there is a link with that index or a higher one.</returns>
    public bool TryRestore(HubLink link)
    {
        lock (_lock)
        {
            if (link.Index < _used) return false;
            while (_used < link.Index) _free.Push(_used++);
            Set(_used++, link);
            return true;
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

    private void Set(int index, HubLink link)
    {
        HubLink?[] links = _links;
        if (index >= links.Length) Array.Resize(ref links, Math.Max(2 * links.Length, index + 1));
        links[index] = link;
        _links = links;
    }
}
