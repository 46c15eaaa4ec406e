namespace Megaphone.Hub;

/// <summary>A hub's links by place, so that what is kept for a session can name its link without a reference. Thread-safe.</summary>
/// <remarks>A link has a place from when it comes up until it is down and its last session is over.</remarks>
internal sealed class HubLinks
{
    private readonly Lock _lock = new();
    private readonly Stack<int> _free = new();
    private volatile HubLink?[] _links = new HubLink?[16];
    private int _used;

    /// <summary>The link with this place, which somebody must have.</summary>
    public HubLink this[int place] => _links[place]!;

    /// <summary>Gives a link its place.</summary>
    public int Add(HubLink link)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out int place)) place = _used++;
            HubLink?[] links = _links;
            if (place == links.Length) Array.Resize(ref links, 2 * place);
            links[place] = link;
            _links = links;
            return place;
        }
    }

    /// <summary>Takes a place back.</summary>
    public void Remove(int place)
    {
        lock (_lock)
        {
            _links[place] = null;
            _free.Push(place);
        }
    }
}
