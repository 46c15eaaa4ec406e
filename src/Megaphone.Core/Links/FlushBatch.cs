namespace Megaphone.Links;

/// <summary>The links that the calling thread has written to and not flushed yet.</summary>
/// <remarks>One wake-up of a link's sender then serves everything that a batch of events brought.</remarks>
internal static class FlushBatch
{
    [ThreadStatic]
    private static List<Link>? _links;

    /// <summary>Notes that a link is to be flushed by this thread's next <see cref="Flush"/>.</summary>
    public static void Add(Link link)
    {
        List<Link> links = _links ??= [];
        if (links.Count > 0 && (ReferenceEquals(links[^1], link) || links.Contains(link))) return;
        links.Add(link);
    }

    /// <summary>Flushes what this thread has written to.</summary>
    public static void Flush()
    {
        if (_links is not { } links) return;

        // What a flush sets free may make others write and flush on this thread: each link is taken out before its turn.
        while (links.Count > 0)
        {
            Link link = links[^1];
            links.RemoveAt(links.Count - 1);
            link.Flush();
        }
    }
}
